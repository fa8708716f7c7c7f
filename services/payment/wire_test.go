package payment_test

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/cleavehq/cleave/services/payment"
	"github.com/cleavehq/cleave/services/payment/provider"
)

// The faults of a call to the provider.
const (
	none    = iota
	refused // it surely did nothing
	lost    // it did it, and the answer was lost
	dropped // nobody knows: the request was lost
	late    // nobody knows: the request arrives when nobody waits for it any more
	faults
)

// wire stands between the module and the provider, and fails as it is told.
type wire struct {
	payment.Provider
	fault atomic.Int64

	mu     sync.Mutex
	onWay  []func() error // late requests
	landed int
}

// land lets the late requests arrive.
func (w *wire) land() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, call := range w.onWay {
		_ = call() // whatever it answers is lost
	}
	w.landed += len(w.onWay)
	w.onWay = nil
}

// do makes a call, or doesn't. One that is lost or late outlives the context of its caller.
func (w *wire) do(ctx context.Context, call func(context.Context) error) error {
	beyond := func() error { return call(context.WithoutCancel(ctx)) }
	switch w.fault.Load() {
	case refused:
		return provider.ErrUnavailable
	case lost:
		_ = beyond() // whatever it answers is lost
		return context.DeadlineExceeded
	case dropped:
		return context.DeadlineExceeded
	case late:
		w.mu.Lock()
		w.onWay = append(w.onWay, beyond)
		w.mu.Unlock()
		return context.DeadlineExceeded
	}
	return call(ctx)
}

func (w *wire) Authorize(ctx context.Context, r payment.ProviderRequest) (payment.Authorization, error) {
	return answered(ctx, w, func(ctx context.Context) (payment.Authorization, error) { return w.Provider.Authorize(ctx, r) })
}

func (w *wire) Capture(ctx context.Context, ref, key string) error {
	return w.do(ctx, func(ctx context.Context) error { return w.Provider.Capture(ctx, ref, key) })
}

func (w *wire) Void(ctx context.Context, ref, key string) error {
	return w.do(ctx, func(ctx context.Context) error { return w.Provider.Void(ctx, ref, key) })
}

func (w *wire) Refund(ctx context.Context, ref, key string, amount payment.Money) error {
	return w.do(ctx, func(ctx context.Context) error { return w.Provider.Refund(ctx, ref, key, amount) })
}

func (w *wire) Lookup(ctx context.Context, q payment.ProviderQuery) (payment.ProviderStatus, error) {
	return answered(ctx, w, func(ctx context.Context) (payment.ProviderStatus, error) { return w.Provider.Lookup(ctx, q) })
}

func (w *wire) List(ctx context.Context, window provider.Window) (provider.Charges, error) {
	return answered(ctx, w, func(ctx context.Context) (provider.Charges, error) { return w.Provider.List(ctx, window) })
}

// answered is do for calls that answer more than an error.
func answered[T any](ctx context.Context, w *wire, call func(context.Context) (T, error)) (T, error) {
	var answer T
	err := w.do(ctx, func(ctx context.Context) (err error) {
		answer, err = call(ctx)
		return err
	})
	if err != nil {
		var nothing T
		return nothing, err
	}
	return answer, nil
}
