package turn_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cleavehq/cleave/chassis/turn"
)

// Many want two things each, named in either order: never do two have one of them at a time, and all of them get there.
func TestOneAtATime(t *testing.T) {
	turns := turn.New()
	things := []string{"a", "b", "c"}
	has := map[string]*int{"a": new(int), "b": new(int), "c": new(int)} // the race detector looks at them too
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			mine := []string{things[i%3], things[(i+1)%3]}
			if i%2 == 0 {
				slices.Reverse(mine)
			}
			done, err := turns.Take(context.Background(), mine...)
			if err != nil {
				t.Error(err)
				return
			}
			defer done()
			for _, thing := range mine {
				*has[thing]++
				if *has[thing] != 1 {
					t.Errorf("%d have %s", *has[thing], thing)
				}
			}
			for _, thing := range mine {
				*has[thing]--
			}
		})
	}
	wg.Wait()
}

// One who goes away while waiting leaves nothing taken, and a thing that is named twice is taken once.
func TestGoneWhileWaiting(t *testing.T) {
	turns := turn.New()
	done, err := turns.Take(t.Context(), "a", "a")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	waited := make(chan error)
	go func() {
		_, err := turns.Take(gone, "b", "a", "c")
		waited <- err
	}()
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	done()
	for range 2 {
		done, err := turns.Take(t.Context(), "a", "b", "c")
		if err != nil {
			t.Fatal(err)
		}
		done()
	}
	if done, err = turns.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	done()
}

// Two change one row; the second begins when the first has committed.
func Example() {
	turns := turn.New()
	sell := func(ctx context.Context, sku string) error {
		done, err := turns.Take(ctx, sku)
		if err != nil {
			return err
		}
		defer done()
		fmt.Println("sell", sku) // in a transaction
		return nil
	}
	for range 2 {
		if err := sell(context.Background(), "mug"); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// sell mug
	// sell mug
}
