// Package turn lets callers of one process that want to change the same thing do so one after the other, before they begin a transaction.
//
// It is for speed and never for safety: a serializable transaction is right without it. But of many transactions that change one row at the
// same time one commits and the others were in vain, again and again, until some give up. Those that wait for their turn begin when the row
// is free. Between processes there are as many at a time as there are processes, which the database sorts out.
//
// Nobody may wait for a turn within a transaction: who has the turn may be waiting for that transaction's end.
package turn

import (
	"context"
	"hash/maphash"
	"slices"
)

// lanes is how many turns there are. Two things that fall into one lane wait for each other without need.
const lanes = 256

// Turns are the turns of one kind of thing. They are safe for concurrent use.
type Turns struct {
	seed maphash.Seed
	lane [lanes]chan struct{} // has a token while nobody has the turn
}

// New makes Turns that nobody has.
func New() *Turns {
	t := &Turns{seed: maphash.MakeSeed()}
	for i := range t.lane {
		t.lane[i] = make(chan struct{}, 1)
		t.lane[i] <- struct{}{}
	}
	return t
}

// Take waits until it is the caller's turn with all of these things, and returns what ends it, which the caller calls once. It may be called
// with none. When ctx ends first it returns ctx's error, and nothing is taken. Two callers never wait for each other in a circle.
func (t *Turns) Take(ctx context.Context, things ...string) (done func(), err error) {
	need := make([]uint64, len(things))
	for i, thing := range things {
		need[i] = maphash.String(t.seed, thing) % lanes
	}
	slices.Sort(need)
	need = slices.Compact(need)
	for i, n := range need {
		select {
		case <-t.lane[n]:
		case <-ctx.Done():
			t.free(need[:i])
			return nil, ctx.Err()
		}
	}
	return func() { t.free(need) }, nil
}

func (t *Turns) free(taken []uint64) {
	for _, n := range taken {
		t.lane[n] <- struct{}{}
	}
}
