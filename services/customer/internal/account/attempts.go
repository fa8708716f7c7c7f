package account

import (
	"context"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

// Attempts is what was counted under one key.
type Attempts struct {
	Count int64
	// Last is when the last one was made, Until when the next one may be; zero for at once.
	Last, Until time.Time
}

// limit lets Free attempts through, then makes the next wait First, the one after it twice as long, and so on, up to Most. When there was no
// attempt for a day, it starts anew.
type limit struct {
	Free        int64
	First, Most time.Duration
}

// forgetTime is after how long attempts are forgotten.
const forgetTime = 24 * time.Hour

// The limits. An address that is not the attacker's own stays usable: what waits is the next attempt, for minutes, and a reset by mail is
// counted apart.
func loginPerEmail() limit  { return limit{Free: 5, First: time.Second, Most: 15 * time.Minute} }
func loginPerSource() limit { return limit{Free: 20, First: time.Second, Most: 15 * time.Minute} }
func mailPerEmail() limit   { return limit{Free: 3, First: time.Minute, Most: time.Hour} }
func mailPerSource() limit  { return limit{Free: 20, First: time.Minute, Most: time.Hour} }

// after returns what is counted once one more attempt was made.
func (l limit) after(a Attempts, now time.Time) Attempts {
	if now.Sub(a.Last) >= forgetTime {
		a.Count = 0
	}
	a.Count++
	a.Last, a.Until = now, time.Time{} // not now: a call that began a little earlier may be counted after this one
	if wait := l.wait(a.Count); wait > 0 {
		a.Until = now.Add(wait)
	}
	return a
}

func (l limit) wait(count int64) time.Duration {
	over := count - l.Free
	switch {
	case over < 0:
		return 0
	case l.First > l.Most>>over: // the other way round it would overflow
		return l.Most
	}
	return l.First << over
}

// gate is what attempts are counted under: an address and where the caller comes from.
type gate struct {
	email, source       string // keys; source is empty when it isn't known
	perEmail, perSource limit
}

// newGate hides the address: the counts outlive an account by a day.
func newGate(kind, email, source string, perEmail, perSource limit) gate {
	g := gate{email: kind + ":email:" + hashOf(email), perEmail: perEmail, perSource: perSource}
	if source != "" {
		g.source = kind + ":source:" + hashOf(source)
	}
	return g
}

func loginGate(email, source string) gate {
	return newGate("login", email, source, loginPerEmail(), loginPerSource())
}

func mailGate(kind, email, source string) gate {
	return newGate(kind, email, source, mailPerEmail(), mailPerSource())
}

// enter counts an attempt before it is made, so that many at once are counted too, or refuses it with TOO_MANY_ATTEMPTS. What is refused
// isn't counted: nobody can be kept out for longer than Most after an attacker stops.
func (g gate) enter(ctx context.Context, tx Tx, now time.Time) error {
	byEmail, err := tx.Attempts(ctx, g.email)
	if err != nil {
		return err
	}
	var bySource Attempts
	if g.source != "" {
		if bySource, err = tx.Attempts(ctx, g.source); err != nil {
			return err
		}
	}
	if wait := max(byEmail.Until.Sub(now), bySource.Until.Sub(now)); wait > 0 {
		return problem.ResourceExhausted(ReasonTooManyAttempts, "too many attempts; the next one may be made in %d s",
			(wait+time.Second-1)/time.Second)
	}
	if err := tx.PutAttempts(ctx, g.email, g.perEmail.after(byEmail, now)); err != nil {
		return err
	}
	if g.source == "" {
		return nil
	}
	return tx.PutAttempts(ctx, g.source, g.perSource.after(bySource, now))
}

// passed takes back what enter counted: all of it for the address, this one attempt for the source. Someone who has an account of their own
// can't log in to it between two guesses to be forgotten the others.
func (g gate) passed(ctx context.Context, tx Tx) error {
	if err := tx.DropAttempts(ctx, g.email); err != nil {
		return err
	}
	if g.source == "" {
		return nil
	}
	a, err := tx.Attempts(ctx, g.source)
	if err != nil || a.Count == 0 {
		return err
	}
	a.Count--
	if a.Count < g.perSource.Free {
		a.Until = time.Time{}
	}
	return tx.PutAttempts(ctx, g.source, a)
}

// enter is gate.enter in a transaction of its own.
func (s *Service) enter(ctx context.Context, g gate, now time.Time) error {
	if err := s.store.InTx(ctx, func(tx Tx) error { return g.enter(ctx, tx, now) }); err != nil {
		return fmt.Errorf("count an attempt: %w", err)
	}
	return nil
}
