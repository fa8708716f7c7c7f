package admin_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/cleavehq/cleave/chassis/admin"
)

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	s, err := admin.Listen(ctx, admin.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	s.Handle("GET /hello", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx) }()

	rsp, err := http.Get("http://" + s.Address() + "/hello")
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(rsp.Body)
	_ = rsp.Body.Close()
	fmt.Println(string(body))
	cancel()
	fmt.Println(<-ended)
	// Output:
	// hello
	// <nil>
}
