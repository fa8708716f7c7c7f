package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// When a client goes, whoever sends notices, too, and says nothing more: that is no message.
func TestNothingIsSentAfterTheEnd(t *testing.T) {
	g := bare(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	from := make(chan heard)
	close(from)
	for range 100 {
		x := &exchange{g: g, w: &recorder{ResponseWriter: httptest.NewRecorder()}, r: httptest.NewRequest(http.MethodGet, "/", http.NoBody)}
		l := &listener{open: func() error { return nil }, message: func(b []byte, id string) error {
			t.Fatalf("%q with id %q was sent", b, id)
			return nil
		}}
		if err := x.pass(ctx, l, from); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}
