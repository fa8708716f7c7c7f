package events_test

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cleavehq/cleave/chassis/events"
)

// A server inside the process, a broker on it, one publisher and one subscriber.
func Example() {
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	server, err := events.StartEmbedded(events.EmbeddedConfig{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Shutdown()
	b, err := events.NewJetStream(events.JetStreamConfig{URL: server.URL(), Name: "example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := b.Connect(); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = b.Disconnect() }()

	handled := make(chan string)
	_, err = events.Subscribe(b, "greeters", func(_ context.Context, m *wrapperspb.StringValue) error {
		handled <- m.GetValue()
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := events.Publish(context.Background(), b, wrapperspb.String("hello")); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-handled)
	// Output: hello
}
