package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const (
	clearAll  = "\x1b[H\x1b[2J"
	showAgain = "\x1b[?25h"
	hide      = "\x1b[?25l"
)

func (a *app) top() *cobra.Command {
	every, times := 2*time.Second, 0
	c := &cobra.Command{
		Use: "top", Short: "Watch the processes, the busiest first; q ends it", GroupID: "operate", Args: exactly(cobra.NoArgs),
		Long: "top is ps again and again. On a terminal it redraws in place, and q or Ctrl-C ends it; elsewhere it prints one table after the other.",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if every < 500*time.Millisecond || every > time.Minute {
				return usagef("--every is %v; want 500ms to 1m", every)
			}
			se, err := a.session(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, se.Close()) }()
			ctx, cancel := context.WithCancel(c.Context())
			defer cancel()
			begin, restore, err := a.screen(cancel)
			if err != nil {
				return err
			}
			defer restore()
			return se.watch(ctx, every, times, func(rows []row) error {
				var b bytes.Buffer
				_, _ = fmt.Fprintf(&b, "%s  every %v\n", time.Now().Format(time.TimeOnly), every) // to memory
				if err := table(&b, rows); err != nil {
					return err
				}
				text := b.String()
				if begin != "" { // a raw terminal doesn't go to the left by itself
					text = strings.ReplaceAll(text, "\n", "\r\n")
				}
				_, err := io.WriteString(a.env.Stdout, begin+text)
				return err
			})
		},
	}
	c.Flags().DurationVar(&every, "every", every, "how often, from 500ms to 1m")
	c.Flags().IntVar(&times, "times", 0, "how many tables; 0 for no end")
	return c
}

// screen readies a terminal, if there is one: begin goes before each table, restore gives the terminal back. A q calls quit.
func (a *app) screen(quit func()) (begin string, restore func(), err error) {
	out, isFile := a.env.Stdout.(*os.File)
	in, alsoFile := a.env.Stdin.(*os.File)
	if !isFile || !alsoFile || !term.IsTerminal(int(out.Fd())) || !term.IsTerminal(int(in.Fd())) {
		return "", func() {}, nil
	}
	was, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return "", nil, fmt.Errorf("ready the terminal: %w", err)
	}
	go func() { // it ends with the process, at the latest
		key := make([]byte, 1)
		for {
			if n, err := in.Read(key); err != nil || n == 1 && (key[0] == 'q' || key[0] == 3) { // Ctrl-C, which raises no signal now
				quit()
				return
			}
		}
	}()
	_, _ = out.WriteString(hide) // the first table says if it can't be written
	return clearAll, func() {
		_, _ = out.WriteString(showAgain)
		_ = term.Restore(int(in.Fd()), was)
	}, nil
}

// watch shows what happens, until ctx ends or it has done so often enough.
func (se *session) watch(ctx context.Context, every time.Duration, times int, show func([]row) error) error {
	before := se.look(ctx)
	for n := 1; times == 0 || n <= times; n++ {
		if pauseFor(ctx, every) != nil {
			return nil //nolint:nilerr // as it was asked to
		}
		next := se.look(ctx)
		rows, err := se.rows(ctx, before)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // as it was asked to
		}
		if err != nil {
			return err
		}
		slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(b.Rate, a.Rate) })
		if err := show(rows); err != nil {
			return err
		}
		before = next
	}
	return nil
}
