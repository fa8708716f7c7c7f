package kv_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/cleavehq/cleave/chassis/kv"
)

// forgetful is a Consul that had the documents a and b at index 20, and was away; now it has a, at index 10.
type forgetful struct {
	mu    sync.Mutex
	asked int
	now   int      // index of the whole store
	put   []string // names
}

func (f *forgetful) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := func(index int, names ...string) {
		w.Header().Set("X-Consul-Index", fmt.Sprint(index))
		var pairs []api.KVPair
		for _, n := range names {
			pairs = append(pairs, api.KVPair{Key: "docs/" + n, Value: []byte("{}")})
		}
		_ = json.NewEncoder(w).Encode(pairs)
	}
	_, recurse := r.URL.Query()["recurse"]
	switch {
	case r.Method == http.MethodPut:
		f.put = append(f.put, strings.TrimPrefix(r.URL.Path, "/v1/kv/docs/"))
		_, _ = w.Write([]byte("true"))
	case !recurse:
		w.Header().Set("X-Consul-Index", fmt.Sprint(f.now))
		w.WriteHeader(http.StatusNotFound)
	default:
		f.asked++
		switch f.asked {
		case 1:
			list(20, "a", "b")
		case 2:
			http.Error(w, "no leader", http.StatusInternalServerError)
		default:
			list(10, "a")
		}
	}
}

// A document that was deleted while a process was cut off, for so long that Consul has forgotten the deletion, stays deleted; what Consul has lost is put
// back.
func TestWhatWasDeletedMeanwhileStaysDeleted(t *testing.T) {
	for name, c := range map[string]struct {
		now  int
		puts string
	}{"deleted at 30, and forgotten": {30, ""}, "lost": {5, "a b"}} {
		t.Run(name, func(t *testing.T) {
			f := &forgetful{now: c.now}
			srv := httptest.NewServer(f)
			defer srv.Close()
			client, err := api.NewClient(&api.Config{Address: srv.URL})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var told []int
			_ = kv.NewConsul(client, "docs").Watch(ctx, func(all map[string][]byte) {
				if told = append(told, len(all)); len(told) == 2 {
					cancel()
				}
			})
			f.mu.Lock()
			defer f.mu.Unlock()
			names := map[string]bool{}
			for _, n := range f.put {
				names[n] = true
			}
			if got := len(names); got != len(strings.Fields(c.puts)) || fmt.Sprint(told) != "[2 1]" {
				t.Errorf("put back %v, want %q; told of %v documents", f.put, c.puts, told)
			}
		})
	}
}
