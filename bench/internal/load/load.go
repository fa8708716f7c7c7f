// Package load makes the small call that is measured, over and over.
package load

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/cleavehq/cleave/bench/echo"
	"github.com/cleavehq/cleave/bench/internal/stat"
)

// Say makes one call.
type Say func(ctx context.Context, in *echo.Message) (*echo.Message, error)

// Turn is what came of calling for a while.
type Turn struct {
	Calls    int
	Took     time.Duration
	P50, P99 time.Duration
	CPU      time.Duration // of the client's process; whoever knows the servers' adds theirs
}

// Message is the request that is sent over and over.
func Message() *echo.Message {
	return &echo.Message{Id: "0192f5a0-0000-7000-8000-000000000001", Title: "Stoneware mug", Amount: 1990, Currency: "EUR"}
}

// Answer is what every server does.
func Answer(in, out *echo.Message) {
	out.Id, out.Title, out.Amount, out.Currency = in.GetId(), in.GetTitle(), in.GetAmount(), in.GetCurrency()
}

// Echoer is a go-micro handler.
type Echoer struct{}

// Say implements echo.EchoHandler.
func (Echoer) Say(_ context.Context, in, out *echo.Message) error {
	Answer(in, out)
	return nil
}

// Measure calls with n at once for d.
func Measure(call Say, n int, d time.Duration) (Turn, error) {
	runtime.GC()
	ctx := context.Background()
	var all sync.WaitGroup
	took := make([][]time.Duration, n)
	errs := make([]error, n)
	before, start := stat.CPU(), time.Now()
	for i := range n {
		all.Go(func() {
			in := Message()
			for last := start; last.Sub(start) < d; {
				out, err := call(ctx, in)
				if err == nil && out.GetId() != in.GetId() {
					err = errors.New("another answer than that of this call")
				}
				if err != nil {
					errs[i] = err
					return
				}
				now := time.Now()
				took[i] = append(took[i], now.Sub(last))
				last = now
			}
		})
	}
	all.Wait()
	t := Turn{Took: time.Since(start), CPU: stat.CPU() - before}
	if err := errors.Join(errs...); err != nil {
		return t, err
	}
	each := slices.Concat(took...)
	slices.Sort(each)
	t.Calls = len(each)
	t.P50, t.P99 = stat.Quantile(each, 0.5), stat.Quantile(each, 0.99)
	return t, nil
}
