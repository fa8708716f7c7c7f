package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"go-micro.dev/v4/metadata"

	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// keys remembers the key that came with each call, and refuses some as the guard does.
type keys struct {
	catalogv1.CatalogHandler
	last atomic.Value
}

func (k *keys) CreateCategory(ctx context.Context, _ *catalogv1.CreateCategoryRequest, _ *catalogv1.Category) error {
	key, _ := metadata.Get(ctx, idempotency.Header)
	k.last.Store(key)
	switch key {
	case "in-use":
		return problem.Aborted(idempotency.ReasonInUse, "it runs")
	case "reused":
		return problem.FailedPrecondition(idempotency.ReasonReused, "it was another")
	}
	return nil
}

func (k *keys) GetProduct(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
	key, _ := metadata.Get(ctx, idempotency.Header)
	k.last.Store(key)
	return nil
}

func TestIdempotencyKey(t *testing.T) {
	e := open(t, nil)
	k := &keys{}
	e.handle(t, "catalog", k)
	e.eventually(t, mug, http.StatusOK)
	if k.last.Load() != "" {
		t.Errorf("a read got the key %q", k.last.Load())
	}
	const tea = `{"slug":"tea","title":"Tea"}`
	create := func(key string) {
		t.Helper()
		if w := e.do(http.MethodPost, "/v1/categories", tea, idempotency.Header, key); w.Code != http.StatusOK || k.last.Load() != key {
			t.Errorf("%d %s, the module got %q, want %q", w.Code, w.Body, k.last.Load(), key)
		}
	}
	create("k")
	create(strings.Repeat("~", 255))

	seen := map[any]bool{}
	for range 3 { // without one, each request has its own
		if w := e.do(http.MethodPost, "/v1/categories", tea); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		seen[k.last.Load()] = true
	}
	if len(seen) != 3 || seen[""] {
		t.Errorf("the keys were %v", seen)
	}
}

func TestIdempotencyKeyRefusals(t *testing.T) {
	e := open(t, nil)
	k := &keys{}
	e.handle(t, "catalog", k)
	e.eventually(t, mug, http.StatusOK)
	for key, want := range map[string]struct {
		status     int
		reason     string
		retryAfter string
	}{
		"in-use":                 {http.StatusConflict, idempotency.ReasonInUse, "1"},
		"reused":                 {http.StatusUnprocessableEntity, idempotency.ReasonReused, ""},
		"":                       {http.StatusBadRequest, idempotency.ReasonBadKey, ""},
		"a b":                    {http.StatusBadRequest, idempotency.ReasonBadKey, ""},
		"\u00fc":                 {http.StatusBadRequest, idempotency.ReasonBadKey, ""},
		strings.Repeat("k", 256): {http.StatusBadRequest, idempotency.ReasonBadKey, ""},
	} {
		k.last.Store("not called")
		w := e.do(http.MethodPost, "/v1/categories", `{"slug":"tea","title":"Tea"}`, idempotency.Header, key)
		var doc problem.Document
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Code != want.status || doc.Reason != want.reason {
			t.Errorf("%q: %d %s, want %d %s", key, w.Code, w.Body, want.status, want.reason)
		}
		if got := w.Header().Get("Retry-After"); got != want.retryAfter {
			t.Errorf("%q: Retry-After %q", key, got)
		}
		if called := k.last.Load() != "not called"; called != (want.reason != idempotency.ReasonBadKey) {
			t.Errorf("%q: the module was called: %v", key, called)
		}
	}
	// A read that carries a bad key is refused too: its author means something that doesn't hold.
	if w := e.do(http.MethodGet, mug, "", idempotency.Header, "a b"); w.Code != http.StatusBadRequest {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
