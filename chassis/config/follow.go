package config

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"sync"
	"time"
)

const filePoll = 250 * time.Millisecond

// Follow keeps v current until ctx ends: with a store, which may be nil, and with the file of Options.File, which is looked at every 250 ms.
func (v *Live[T]) Follow(ctx context.Context, s Backend) {
	var all sync.WaitGroup
	defer all.Wait()
	if s != nil {
		all.Go(func() {
			_ = s.Watch(ctx, func(values map[string]string) { v.TakeStore(ctx, values) }) // it ends with ctx
		})
	}
	if v.start.in.o.File == "" {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(filePoll)
	defer tick.Stop()
	seen := stat(v.start.in.o.File)
	v.TakeFile(ctx) // it may have changed since it was loaded
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := stat(v.start.in.o.File); now != seen {
			seen = now
			v.TakeFile(ctx)
		}
	}
}

// fileState is what tells one version of a file from another.
type fileState struct {
	at   time.Time
	size int64
	err  string
}

func stat(path string) fileState {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{err: err.Error()}
	}
	return fileState{at: info.ModTime(), size: info.Size()}
}

// ServeHTTP answers with State as JSON.
func (v *Live[T]) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v.State()) //nolint:errchkjson // whoever asked has gone
}
