package admin

import (
	"net/http"
	"runtime/pprof"
	"strconv"
	"time"
)

const (
	profileFor  = 10 * time.Second
	profileMost = 50 * time.Second // an answer ends at pageTimeout
)

// Profile shows what the process does, for `go tool pprof http://ADDRESS/profile`: where processor time goes for ?seconds=N (10; at most 50), or,
// with ?of=NAME, one of runtime/pprof's: heap, allocs, goroutine, block, mutex, threadcreate. A second processor profile at once is 409.
func Profile() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		if of := r.URL.Query().Get("of"); of != "" {
			p := pprof.Lookup(of)
			if p == nil {
				http.Error(w, "there is no such profile", http.StatusNotFound)
				return
			}
			_ = p.WriteTo(w, 0) // whoever asked has gone
			return
		}
		d := profileFor
		if s := r.URL.Query().Get("seconds"); s != "" {
			n, err := strconv.Atoi(s)
			if d = time.Duration(n) * time.Second; err != nil || n < 1 || d > profileMost {
				http.Error(w, "seconds must be 1 to 50", http.StatusBadRequest)
				return
			}
		}
		if err := pprof.StartCPUProfile(w); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		defer pprof.StopCPUProfile()
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
		}
	})
}
