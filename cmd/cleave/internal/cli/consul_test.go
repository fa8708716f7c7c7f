package cli

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// busy is an agent that has too many requests for a while, and then takes what comes.
func busy(t *testing.T, times int64) (s settings, asked *atomic.Int64, got *atomic.Value) {
	t.Helper()
	asked, got = new(atomic.Int64), new(atomic.Value)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= times {
			http.Error(w, "Your IP is issuing too many concurrent connections, please rate limit your calls", http.StatusTooManyRequests)
			return
		}
		b, _ := io.ReadAll(r.Body)
		got.Store(string(b))
		_, _ = io.WriteString(w, "true")
	}))
	t.Cleanup(srv.Close)
	s = defaults()
	s.Consul.Addr = strings.TrimPrefix(srv.URL, "http://")
	return s, asked, got
}

func put(ctx context.Context, t *testing.T, s settings) error {
	t.Helper()
	c, err := consulClient(s)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.KV().Put(&api.KVPair{Key: "k", Value: []byte("document")}, (&api.WriteOptions{}).WithContext(ctx))
	return err
}

// An agent that has too many is asked again, with the same body, until it takes the request.
func TestABusyConsulIsAskedAgain(t *testing.T) {
	s, asked, got := busy(t, 3)
	if err := put(t.Context(), t, s); err != nil || asked.Load() != 4 || got.Load() != "document" {
		t.Errorf("%v, asked %d times, got %v", err, asked.Load(), got.Load())
	}
}

// It is asked for as long as the command has time, and then the answer is told.
func TestABusyConsulIsNotAskedForEver(t *testing.T) {
	s, asked, _ := busy(t, 1<<40)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := put(ctx, t, s)
	if err == nil || !strings.Contains(err.Error(), "429") || asked.Load() < 2 || asked.Load() > 20 || time.Since(begin) > 5*time.Second {
		t.Errorf("%v, asked %d times in %v", err, asked.Load(), time.Since(begin))
	}
}
