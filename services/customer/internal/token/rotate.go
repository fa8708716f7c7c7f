package token

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// ReasonTooManyKeys is the reason of the ResourceExhausted of Rotate.
const ReasonTooManyKeys = "TOO_MANY_KEYS"

// Public returns the keys that a verifier has to know, the one that signs now first.
func (i *Issuer) Public(ctx context.Context) ([]Record, error) {
	all, err := i.c.Store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	now := i.c.Now()
	drop := ended(all, now)
	all = slices.DeleteFunc(all, func(r Record) bool { return slices.Contains(drop, r.ID) })
	if n := slices.IndexFunc(all, func(r Record) bool { return !r.From.After(now) }); n > 0 {
		all[0], all[n] = all[n], all[0]
	}
	return all, nil
}

// Tend makes the first key, the next one when it is time, and drops those that have ended. To be called every minute or so, by any number of
// instances.
func (i *Issuer) Tend(ctx context.Context) error {
	return i.change(ctx, func(all []Record, now time.Time) (time.Time, error) {
		switch {
		case len(all) == 0:
			return now, nil
		case !now.Before(all[0].From.Add(RotateEvery - Ahead)):
			return now.Add(Ahead), nil
		}
		return time.Time{}, nil
	})
}

// Rotate makes a key that signs from now on; other instances follow within half a minute. RESOURCE_EXHAUSTED with TOO_MANY_KEYS when
// there are 20.
func (i *Issuer) Rotate(ctx context.Context) error {
	err := i.change(ctx, func(all []Record, now time.Time) (time.Time, error) {
		if len(all) >= MaxKeys {
			return time.Time{}, problem.ResourceExhausted(ReasonTooManyKeys, "there are %d keys; the older ones end within an hour", len(all))
		}
		return now, nil
	})
	i.mu.Lock()
	i.until = time.Time{}
	i.mu.Unlock()
	return err
}

// change adds a key that signs from the time that when says, none for the zero time, and drops the ended ones.
func (i *Issuer) change(ctx context.Context, when func(living []Record, now time.Time) (time.Time, error)) error {
	fresh, err := i.generate()
	if err != nil {
		return err
	}
	return i.c.Store.ChangeKeys(ctx, func(all []Record) (add []Record, drop []string, err error) {
		now := fresh.Created
		drop = ended(all, now)
		living := slices.DeleteFunc(slices.Clone(all), func(r Record) bool { return slices.Contains(drop, r.ID) })
		from, err := when(living, now)
		if err != nil || from.IsZero() {
			return nil, drop, err
		}
		r := fresh
		r.From = from
		return []Record{r}, drop, nil
	})
}

func (i *Issuer) generate() (Record, error) {
	id, err := i.c.NewID()
	if err != nil {
		return Record{}, fmt.Errorf("make a key id: %w", err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return Record{}, fmt.Errorf("make a key: %w", err)
	}
	sealed, err := i.seal.seal(id, private)
	if err != nil {
		return Record{}, fmt.Errorf("seal a key: %w", err)
	}
	return Record{ID: id, Sealed: sealed, Public: public, Created: i.c.Now().UTC().Truncate(time.Microsecond)}, nil
}

// ended returns those of the keys, the latest From first, that stopped signing so long ago that no token of theirs lives.
func ended(all []Record, now time.Time) []string {
	var out []string
	for n := 1; n < len(all); n++ {
		if now.After(all[n-1].From.Add(Keep)) {
			out = append(out, all[n].ID)
		}
	}
	return out
}
