package resilience_test

import (
	"context"
	"fmt"

	"go-micro.dev/v4/client"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/resilience"
)

// Any go-micro service takes it as wrappers: micro.WrapClient(guard.Wrap) and micro.WrapHandler(limit.Wrap).
func Example() {
	guard, err := resilience.NewClient(resilience.ClientConfig{MinCalls: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	payment := guard.Wrap(&answer{client.NewClient(), func(context.Context) error { return problem.Unavailable("UNREACHABLE", "it is down") }})
	for range 4 {
		fmt.Println(payment.Call(context.Background(), payment.NewRequest("payment", "Payment.Capture", nil), nil))
	}
	// Output:
	// Unavailable: it is down
	// Unavailable: it is down
	// Unavailable: it is down
	// Unavailable: payment has failed too often, and is left alone for a moment
}
