package letters

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cleavehq/cleave/chassis/lease"
)

const (
	// lookEvery is how often the courier looks for what is due.
	lookEvery = 100 * time.Millisecond
	// pruneEvery is how often it deletes what is long over.
	pruneEvery = time.Hour
	// atOnce is how many mails are on their way at once.
	atOnce = 4
	// sendTime is how long a mail server may take for one mail.
	sendTime = time.Minute
	// recordTime is for how long an attempt that ended may be written down when the module stops.
	recordTime = 5 * time.Second
)

// Courier sends what is due. One works at a time, of all instances of the module: it holds a lease.
type Courier struct {
	queue  Queue
	sender Sender
	now    func() time.Time
	log    *slog.Logger
}

// NewCourier makes a Courier. sender is nil where there is no mail server: it then only deletes what is over. The other arguments are needed.
func NewCourier(q Queue, sender Sender, now func() time.Time, log *slog.Logger) (*Courier, error) {
	if q == nil || now == nil || log == nil {
		return nil, errors.New("notification: a queue, a clock and a log are all needed")
	}
	return &Courier{queue: q, sender: sender, now: now, log: log}, nil
}

// Work sends until ctx ends, and returns when nothing is on its way any more. An attempt that ctx's end cuts short is not counted, and its mail
// is sent again: with the same Message-ID, should it have arrived after all.
func (c *Courier) Work(ctx context.Context, l *lease.Lease) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var pruned time.Time
	for {
		if c.sender != nil {
			for c.batch(ctx, l) {
			}
		}
		if now := c.now(); now.Sub(pruned) >= pruneEvery {
			pruned = now
			c.prune(ctx, l)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// batch sends some mails, and tells whether there may be more.
func (c *Courier) batch(ctx context.Context, l *lease.Lease) bool {
	due, err := c.queue.Due(ctx, c.now(), atOnce)
	if err != nil {
		if ctx.Err() == nil {
			c.log.WarnContext(ctx, "the mails that are due can't be read; trying again", "error", err)
		}
		return false
	}
	var wg sync.WaitGroup
	for _, m := range due {
		wg.Go(func() { c.deliver(ctx, l, m) })
	}
	wg.Wait()
	return len(due) == atOnce && ctx.Err() == nil
}

// deliver makes one attempt, and writes down how it ended.
func (c *Courier) deliver(ctx context.Context, l *lease.Lease, m Mail) {
	result := Result{Mail: m, Before: m.Attempts}
	var err error
	if now := c.now(); !m.Expires.IsZero() && !now.Before(m.Expires) {
		result.State, result.Why = Dead, WhyExpired
	} else {
		send, cancel := context.WithTimeout(ctx, sendTime)
		err = c.sender.Send(send, m)
		cancel()
		if err != nil && ctx.Err() != nil {
			return // cut short by us
		}
		result.Attempts++
		result.Mail = judge(result.Mail, err, now)
	}
	result.Updated = c.now().UTC().Truncate(time.Microsecond)
	level := slog.LevelDebug
	if result.State == Dead {
		level = slog.LevelWarn
	}
	c.log.LogAttrs(ctx, level, "a mail was attempted", slog.String("notification_id", m.ID), slog.String("template", m.Template),
		slog.String("state", string(result.State)), slog.Int("attempts", result.Attempts), slog.String("why", result.Why))
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if err := c.queue.Record(save, l, result); err != nil {
		c.log.LogAttrs(ctx, slog.LevelWarn, "an attempt is not written down: the mail will be sent again", slog.String("notification_id", m.ID), slog.Any("error", err))
	}
}

// judge says what became of a mail that was attempted.
func judge(m Mail, err error, now time.Time) Mail {
	var no *Refusal
	switch {
	case err == nil:
		m.State, m.Why = Sent, ""
		return m
	case errors.As(err, &no) && no.Code == 0:
		m.Why = WhyAddress
	case errors.As(err, &no):
		m.Why = fmt.Sprintf("SMTP_%d", no.Code)
	case errors.Is(err, context.DeadlineExceeded):
		m.Why = WhyTimeout
	default:
		m.Why = WhyReach
	}
	wait, again := pause(m.Attempts)
	if !again || no != nil && no.Final {
		m.State = Dead
		return m
	}
	m.State, m.Next = Pending, now.UTC().Add(wait).Truncate(time.Microsecond)
	return m
}

func (c *Courier) prune(ctx context.Context, l *lease.Lease) {
	for ctx.Err() == nil {
		now := c.now()
		n, err := c.queue.Prune(ctx, l, now.Add(-Keep), now)
		if err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "old mails can't be deleted", "error", err)
		}
		if err != nil || n == 0 {
			return
		}
		c.log.InfoContext(ctx, "old mails are deleted", "count", n)
	}
}
