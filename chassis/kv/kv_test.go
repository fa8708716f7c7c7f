package kv_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/cleavehq/cleave/chassis/discovery/discoverytest"
	"github.com/cleavehq/cleave/chassis/kv"
)

func Example() {
	dir, err := os.MkdirTemp("", "kv")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithCancel(context.Background())
	store := kv.NewFile(filepath.Join(dir, "documents.json")) // kv.NewConsul(client, "my/documents") is the same in Consul
	if err := store.Put(ctx, "greeting", []byte(`{"text": "hello"}`)); err != nil {
		panic(err)
	}
	err = store.Watch(ctx, func(all map[string][]byte) {
		fmt.Println(len(all), string(all["greeting"]))
		cancel()
	})
	fmt.Println(err)
	// Output:
	// 1 {
	//     "text": "hello"
	//   }
	// context canceled
}

func stores(t *testing.T) map[string]kv.Store {
	t.Helper()
	c, err := api.NewClient(&api.Config{Address: discoverytest.StartConsul(t).Address})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]kv.Store{"file": kv.NewFile(filepath.Join(t.TempDir(), "new", "documents.json")), "consul": kv.NewConsul(c, "/some/where/")}
}

// Every store tells what is there, and then each change.
func TestStores(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			told, ended := make(chan map[string][]byte, 100), make(chan error, 1)
			go func() { ended <- s.Watch(ctx, func(all map[string][]byte) { told <- all }) }()
			until := func(what string, ok func(map[string][]byte) bool) {
				t.Helper()
				for {
					select {
					case all := <-told:
						if ok(all) {
							return
						}
					case <-ctx.Done():
						t.Fatal("was never told: " + what)
					}
				}
			}
			if err := s.Put(ctx, "a/b", []byte(`{"n":1}`)); err != nil {
				t.Fatal(err)
			}
			until("a document", func(all map[string][]byte) bool { return len(all) == 1 && len(all["a/b"]) > 0 })
			for i := range 5 {
				if err := s.Put(ctx, fmt.Sprint("k", i), []byte(`2`)); err != nil {
					t.Fatal(err)
				}
			}
			until("six documents", func(all map[string][]byte) bool { return len(all) == 6 && string(all["k4"]) == "2" })
			if err := errors.Join(s.Delete(ctx, "a/b"), s.Delete(ctx, "nobody's")); err != nil {
				t.Fatal(err)
			}
			until("a deletion", func(all map[string][]byte) bool { return len(all) == 5 })
			if all, err := s.Read(ctx); err != nil || len(all) != 5 || all["a/b"] != nil {
				t.Errorf("read %v, %v", all, err)
			}
			if s.Put(ctx, "", []byte("1")) == nil || s.Put(ctx, "big", make([]byte, 600<<10)) == nil {
				t.Error("a document without a name, or too large, was taken")
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Watch ended with %v", err)
			}
		})
	}
}

func TestAFileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "documents.json")
	s := kv.NewFile(path)
	if err := s.Put(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if s.Put(t.Context(), "a", []byte("no JSON")) == nil {
		t.Error("what isn't JSON was taken")
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context()); err == nil {
		t.Error("half a file was read")
	}
}
