package fault_test

import (
	"context"
	"fmt"

	"github.com/cleavehq/cleave/chassis/fault"
)

// The operator of a test run armed one point; the code has two.
func Example() {
	points, err := fault.Parse("order.reserve.after=error*1")
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	fmt.Println(points.Hit(ctx, "order.reserve.before"))
	fmt.Println(points.Hit(ctx, "order.reserve.after"))
	fmt.Println(points.Hit(ctx, "order.reserve.after"))
	// Output:
	// <nil>
	// Unavailable: the failpoint order.reserve.after is armed
	// <nil>
}
