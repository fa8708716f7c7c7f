package kv_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
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

// A Consul that comes back without its data gets what it had; what was taken away before stays away.
func TestConsulLosesItsData(t *testing.T) {
	agent := discoverytest.StartConsul(t)
	c, err := api.NewClient(&api.Config{Address: agent.Address})
	if err != nil {
		t.Fatal(err)
	}
	s := kv.NewConsul(c, "lost")
	told := make(chan int, 100)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var ended sync.WaitGroup
	ended.Go(func() { _ = s.Watch(ctx, func(all map[string][]byte) { told <- len(all) }) })
	defer ended.Wait()
	defer cancel()
	until := func(n int) {
		t.Helper()
		for got := range told {
			if got == n {
				return
			}
		}
	}
	for _, name := range []string{"a", "b", "gone"} {
		if err := s.Put(ctx, name, []byte(`1`)); err != nil {
			t.Fatal(err)
		}
	}
	until(3)
	if err := s.Delete(ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	until(2)
	agent.Kill()
	agent.Start(t)
	discoverytest.Eventually(t, time.Minute, func() error {
		all, err := s.Read(ctx)
		if err == nil && (len(all) != 2 || all["gone"] != nil) {
			err = fmt.Errorf("Consul has %d documents", len(all))
		}
		return err
	})
	if err := s.Put(ctx, "c", []byte(`1`)); err != nil {
		t.Fatal(err)
	}
	until(3)
	select {
	case n := <-told:
		t.Errorf("was told of %d documents besides", n)
	default:
	}
}
