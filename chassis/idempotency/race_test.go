package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go-micro.dev/v4/server"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func TestAKeyInUseIsRefusedUntilItsAnswerIsThere(t *testing.T) {
	each(t, func(t *testing.T, s *shelf) {
		began, end := make(chan struct{}), make(chan struct{})
		s.after = func(context.Context, *catalogv1.CreateCategoryRequest) error {
			close(began)
			<-end
			return nil
		}
		h := s.handler(t, idempotency.Config{})
		first := make(chan error, 1)
		go func() {
			_, err := call(t.Context(), h, "k", "tea")
			first <- err
		}()
		<-began
		_, err := call(t.Context(), h, "k", "tea")
		is(t, err, codes.Aborted, idempotency.ReasonInUse)
		_, err = call(t.Context(), h, "k", "coffee") // what it is, is not known yet
		is(t, err, codes.Aborted, idempotency.ReasonInUse)
		close(end)
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		if out, err := call(t.Context(), h, "k", "tea"); err != nil || out.GetProductCount() != 1 || s.ran.Load() != 1 {
			t.Errorf("%v, %v, ran %d times", out, err, s.ran.Load())
		}
	})
}

// Another process that works under the key holds its row. PostgreSQL's wait for it is bounded; SQLite's writers come one after the other.
func TestAKeyInUseInAnotherProcess(t *testing.T) {
	each(t, func(t *testing.T, s *shelf) {
		began, end := make(chan struct{}), make(chan struct{})
		s.after = func(context.Context, *catalogv1.CreateCategoryRequest) error {
			close(began)
			<-end
			return nil
		}
		first := make(chan error, 1)
		one, other := s.handler(t, idempotency.Config{}), s.handler(t, idempotency.Config{Wait: 50 * time.Millisecond})
		go func() {
			_, err := call(t.Context(), one, "k", "tea")
			first <- err
		}()
		<-began
		short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := call(short, other, "k", "tea")
		var p *problem.Error
		inUse := errors.As(err, &p) && p.Reason == idempotency.ReasonInUse
		if err == nil || !inUse && t.Name()[len(t.Name())-6:] != "sqlite" {
			t.Errorf("got %v", err)
		}
		close(end)
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		s.after = nil
		if out, err := call(t.Context(), other, "k", "tea"); err != nil || out.GetProductCount() != 1 || s.ran.Load() != 1 {
			t.Errorf("%v, %v, ran %d times", out, err, s.ran.Load())
		}
	})
}

// Many send the same command to many processes at once; others send others. Each is done once, and every repeat gets the answer.
func TestManyAtOnce(t *testing.T) {
	const keys, senders = 6, 4
	each(t, func(t *testing.T, s *shelf) {
		processes := []server.HandlerFunc{s.handler(t, idempotency.Config{}), s.handler(t, idempotency.Config{})}
		answers := make([][]*catalogv1.Category, keys)
		var mu sync.Mutex
		var all sync.WaitGroup
		for k := range keys {
			for i := range senders {
				all.Go(func() {
					out, err := insist(t.Context(), processes[i%2], fmt.Sprintf("k%d", k), fmt.Sprintf("s%d", k))
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					answers[k] = append(answers[k], out)
				})
			}
		}
		all.Wait()
		seen := map[int64]bool{}
		for k, list := range answers {
			for _, out := range list {
				if !proto.Equal(out, list[0]) || out.GetSlug() != fmt.Sprintf("s%d", k) {
					t.Errorf("key %d got %v and %v", k, out, list[0])
				}
			}
			seen[list[0].GetProductCount()] = true
		}
		if n := s.count(t, "shelves"); n != keys || len(seen) != keys {
			t.Errorf("%d shelves with %d numbers, want %d of each", n, len(seen), keys)
		}
	})
}

// insist sends a command until the key isn't in use, as a client does.
func insist(ctx context.Context, h server.HandlerFunc, key, slug string) (*catalogv1.Category, error) {
	for {
		out, err := call(ctx, h, key, slug)
		var p *problem.Error
		if !errors.As(err, &p) || p.Reason != idempotency.ReasonInUse {
			return out, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}
