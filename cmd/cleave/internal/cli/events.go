package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/outbox"
)

func (a *app) events() *cobra.Command {
	c := &cobra.Command{
		Use: "events", Short: "Look after the events at the broker", GroupID: "speak", Args: exactly(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.deadLetters(), a.forgetGroup())
	return c
}

func (a *app) deadLetters() *cobra.Command {
	c := &cobra.Command{
		Use: "dead", Short: "Dead letters: events that a consumer gave up", Args: exactly(cobra.NoArgs),
		Long: `An event that a consumer can't apply becomes a dead letter, after ten attempts or at once when no repetition mends it. It stays at the
broker for 28 days. Look at why, mend the cause, and replay it: it goes to the consumer that gave it up and to no other, and is applied once.`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.listDead(), a.settleDead("replay", "Send dead letters to their consumers again", "replayed",
		func(b events.DeadLetterBox) settle { return b.ReplayDead }))
	c.AddCommand(a.settleDead("drop", "Remove dead letters for good", "dropped", func(b events.DeadLetterBox) settle { return b.DropDead }))
	return c
}

// chosen are the flags that choose dead letters.
type chosen struct{ group, topic string }

func (ch *chosen) flags(f *pflag.FlagSet) {
	f.StringVar(&ch.group, "group", "", "only those of this consumer")
	f.StringVar(&ch.topic, "topic", "", "only those of this topic, such as shop.order.v1.OrderConfirmed")
}

func (ch *chosen) takes(d events.DeadLetter) bool {
	return (ch.group == "" || ch.group == d.Group) && (ch.topic == "" || ch.topic == d.Topic)
}

// letter is a dead letter as it is shown. What is in the event is not: it may be nobody's business.
type letter struct {
	ID       string    `json:"id"`
	Time     time.Time `json:"time"`
	Group    string    `json:"group"`
	Topic    string    `json:"topic"`
	EventID  string    `json:"event_id"`
	Key      string    `json:"key,omitempty"`
	Seq      string    `json:"seq,omitempty"`
	Trace    string    `json:"traceparent,omitempty"`
	Attempts int       `json:"attempts"`
	Reason   string    `json:"reason"`
	Bytes    int       `json:"bytes"`
}

func asLetter(d events.DeadLetter) letter {
	h := d.Message.Header
	return letter{
		ID: d.ID, Time: d.Time, Group: d.Group, Topic: d.Topic, EventID: h[events.HeaderEventID], Key: h[outbox.HeaderKey],
		Seq: h[outbox.HeaderSeq], Trace: h[events.HeaderTraceparent], Attempts: d.Attempts, Reason: d.Reason, Bytes: len(d.Message.Body),
	}
}

func (a *app) listDead() *cobra.Command {
	var ch chosen
	limit := 100
	c := &cobra.Command{
		Use: "list", Short: "List dead letters, the oldest first", Args: exactly(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if limit < 1 {
				return usagef("--limit must be positive")
			}
			var p parts
			defer func() { err = errors.Join(err, p.Close()) }()
			s, b, err := a.deadLetterBox(c, &p)
			if err != nil {
				return err
			}
			all, err := b.DeadLetters(c.Context(), readAtMost)
			if err != nil {
				return &codedError{exitUnreachable, err}
			}
			list := make([]letter, 0, len(all))
			for _, d := range all {
				if ch.takes(d) && len(list) < limit {
					list = append(list, asLetter(d))
				}
			}
			if s.Output == "json" {
				return a.json(list)
			}
			return a.letters(list)
		},
	}
	ch.flags(c.Flags())
	c.Flags().IntVar(&limit, "limit", limit, "list at most so many")
	brokerFlags(c.Flags())
	return c
}

// readAtMost bounds how many dead letters are looked through for a list.
const readAtMost = 100_000

func (a *app) letters(list []letter) error {
	w := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tTIME\tGROUP\tTOPIC\tKEY\tATTEMPTS\tREASON") // Flush has the error
	for _, l := range list {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", l.ID, l.Time.Format(time.RFC3339), l.Group, l.Topic, l.Key, l.Attempts, l.Reason)
	}
	return w.Flush()
}

// settle replays or drops.
type settle func(ctx context.Context, pick func(events.DeadLetter) bool) (int, error)

func (a *app) settleDead(name, short, done string, how func(events.DeadLetterBox) settle) *cobra.Command {
	var ch chosen
	all := false
	c := &cobra.Command{
		Use: name + " ID...", Short: short, Args: exactly(cobra.ArbitraryArgs),
		Example: fmt.Sprintf("  cleave events dead %s 17\n  cleave events dead %s --all --group cart", name, name),
		RunE: func(c *cobra.Command, ids []string) (err error) {
			if all == (len(ids) > 0) {
				return usagef("say which by their IDs, or --all, one of them")
			}
			var p parts
			defer func() { err = errors.Join(err, p.Close()) }()
			s, b, err := a.deadLetterBox(c, &p)
			if err != nil {
				return err
			}
			missing := slices.Clone(ids)
			n, err := how(b)(c.Context(), func(d events.DeadLetter) bool {
				i := slices.Index(missing, d.ID)
				if !ch.takes(d) || !all && i < 0 {
					return false
				}
				if i >= 0 {
					missing = slices.Delete(missing, i, i+1)
				}
				return true
			})
			if s.Output == "json" {
				err = errors.Join(err, a.json(map[string]any{done: n, "missing": missing}))
			} else {
				_, werr := fmt.Fprintf(a.env.Stdout, "%s %d\n", done, n)
				err = errors.Join(err, werr)
			}
			if err == nil && len(missing) > 0 {
				return fmt.Errorf("there is no dead letter %s", strings.Join(missing, ", "))
			}
			return err
		},
	}
	ch.flags(c.Flags())
	c.Flags().BoolVar(&all, "all", false, "all of them, or all that --group and --topic choose")
	brokerFlags(c.Flags())
	return c
}

func (a *app) forgetGroup() *cobra.Command {
	c := &cobra.Command{
		Use: "forget GROUP TOPIC", Short: "Remove the subscription of a consumer that is no more", Args: exactly(cobra.ExactArgs(2)),
		Long: `The broker keeps a consumer's events while it is away, and outboxes keep what it hasn't applied for 7 days. A consumer that never comes
back has to be forgotten; until a day later its events are kept all the same.`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			var p parts
			defer func() { err = errors.Join(err, p.Close()) }()
			_, b, err := a.deadLetterBox(c, &p)
			if err != nil {
				return err
			}
			return b.RemoveGroup(c.Context(), args[0], args[1])
		},
	}
	brokerFlags(c.Flags())
	return c
}

// brokerFlags are those of commands that speak to the broker of what runs.
func brokerFlags(f *pflag.FlagSet) {
	d := defaults()
	f.String("broker", d.Broker, "embedded (the one inside the host that runs on --data-dir), nats://host:4222 or amqp://host:5672")
	f.String("data-dir", d.Data.Dir, "folder of the data of the running host")
}

// box is a broker of package events.
type box interface {
	events.DeadLetterBox
	RemoveGroup(ctx context.Context, group, topic string) error
}

// deadLetterBox connects the broker that the settings choose.
func (a *app) deadLetterBox(c *cobra.Command, p *parts) (settings, box, error) {
	s, log, err := a.settings(c)
	if err != nil {
		return s, nil, err
	}
	if s.Broker == embedded {
		if s.Broker, err = embeddedBroker(s); err != nil {
			return s, nil, err
		}
	}
	b, _, what, err := p.broker(s, log)
	if err != nil {
		return s, nil, err
	}
	d, ok := b.(box)
	if !ok {
		return s, nil, fmt.Errorf("%s has no dead letters", what)
	}
	return s, d, nil
}
