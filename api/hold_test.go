package api

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestARequestWaitsForTheFirstRoutes(t *testing.T) {
	took := func(h *hold, ctx context.Context) time.Duration {
		began := time.Now()
		h.wait(ctx)
		return time.Since(began)
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHold(2 * time.Second)
		if d := took(h, t.Context()); d != 2*time.Second {
			t.Errorf("without routes one waits for %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if d := took(h, ctx); d != time.Second {
			t.Errorf("whose client goes waits for %v", d)
		}
		for range maxHeld {
			go h.wait(t.Context())
		}
		synctest.Wait()
		if d := took(h, t.Context()); d != 0 {
			t.Errorf("one more than may wait waits for %v", d)
		}
		<-time.After(time.Second)
		h.end()
		synctest.Wait()
		if n := len(h.places); n != 0 {
			t.Errorf("%d wait, and there are routes", n)
		}
		h.end()
		if d := took(h, t.Context()); d != 0 {
			t.Errorf("with routes one waits for %v", d)
		}
	})
}
