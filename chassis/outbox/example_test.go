package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/outbox"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// A change and its event commit together; a relay publishes it, and a consumer applies it once. host.Host does all but the two functions.
func Example() {
	dir, err := os.MkdirTemp("", "outbox")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	server, err := events.StartEmbedded(events.EmbeddedConfig{Dir: dir})
	if err != nil {
		panic(err)
	}
	defer server.Shutdown()
	b, err := events.NewJetStream(events.JetStreamConfig{URL: server.URL(), Name: "example"})
	if err != nil {
		panic(err)
	}
	if err := b.Connect(); err != nil {
		panic(err)
	}
	defer func() { _ = b.Disconnect() }()
	db, err := data.Open(ctx, data.Config{Dir: dir, Module: "shop", Schemas: []data.Schema{outbox.Schema()}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = db.Close() }()

	seen := make(chan string, 1)
	_, err = outbox.Subscribe(b, db, "reader", func(_ context.Context, _ *sql.Tx, m *catalogv1.ProductChanged) error {
		seen <- m.GetProduct().GetHandle()
		return nil
	})
	if err != nil {
		panic(err)
	}
	relay, err := outbox.NewRelay(outbox.RelayConfig{DB: db, Broker: b, Owner: "instance 1"})
	if err != nil {
		panic(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()

	err = data.Tx(ctx, db, func(tx *sql.Tx) error {
		// ... the change itself ...
		return outbox.Append(ctx, tx, "product-1", &catalogv1.ProductChanged{Product: &catalogv1.Product{Handle: "stoneware-mug"}})
	})
	fmt.Println(err)
	fmt.Println(<-seen)
	stop()
	fmt.Println(<-ended)
	// Output:
	// <nil>
	// stoneware-mug
	// <nil>
}
