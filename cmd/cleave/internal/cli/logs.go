package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) logsOf() *cobra.Command {
	follow, limit, level := false, 100, ""
	c := &cobra.Command{
		Use: "logs [MODULE]", Short: "Show the last lines of the log of what runs, all of it or a module's", GroupID: "speak", Args: exactly(cobra.MaximumNArgs(1)),
		Long: `logs asks the admin listener of every process in the registry for the last lines of its log. With -f it goes on until Ctrl-C. A process
keeps 2,000 lines, at most 1 MiB.`,
		Example: "  cleave logs order -f\n  cleave logs --level warn",
		RunE: func(c *cobra.Command, args []string) (err error) {
			se, err := a.session(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, se.Close()) }()
			at, err := se.admins()
			if err != nil {
				return err
			}
			if len(at) == 0 {
				return &codedError{exitNotFound, errors.New("no process in the registry says where its admin listener is")}
			}
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			if len(args) > 0 {
				q.Set("module", args[0])
			}
			if level != "" {
				q.Set("level", level)
			}
			t := tail{out: a.env.Stdout, raw: se.s.Output == "json"}
			if follow {
				q.Set("follow", "1")
				return t.follow(c.Context(), at, q)
			}
			return t.last(c.Context(), at, q, limit)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with the lines that come")
	c.Flags().IntVar(&limit, "limit", limit, "how many of the last lines")
	c.Flags().StringVar(&level, "level", "", "only lines of at least this level: debug, info, warn, error")
	return c
}

// tail prints lines of several processes.
type tail struct {
	mu  sync.Mutex
	out io.Writer
	raw bool // as JSON
}

// lines hands the lines of one process to f, until its answer ends.
func lines(ctx context.Context, address string, q url.Values, f func(string) error) error {
	rsp, err := get(ctx, address, "/logs?"+q.Encode())
	if err != nil {
		return err
	}
	defer func() { _ = rsp.Body.Close() }()
	if rsp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(rsp.Body, 1024)) // what it says is good to have
		if rsp.StatusCode == http.StatusBadRequest {
			return usagef("%s", strings.TrimSpace(string(b)))
		}
		return fmt.Errorf("%s: %s", rsp.Status, strings.TrimSpace(string(b)))
	}
	in := bufio.NewScanner(rsp.Body)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		if line := in.Text(); line != "" {
			if err := f(line); err != nil {
				return err
			}
		}
	}
	return in.Err()
}

// last prints the last lines of all processes, by their time.
func (t *tail) last(ctx context.Context, at []string, q url.Values, limit int) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var all []string
	err := everywhere(at, func(address string) error {
		return lines(ctx, address, q, func(line string) error {
			t.mu.Lock()
			defer t.mu.Unlock()
			all = append(all, line)
			return nil
		})
	})
	slices.SortStableFunc(all, func(a, b string) int { return when(a).Compare(when(b)) })
	for _, line := range all[max(0, len(all)-limit):] {
		if err := t.print(line); err != nil {
			return err
		}
	}
	return err
}

// follow prints lines as they come, until ctx ends or every process has.
func (t *tail) follow(ctx context.Context, at []string, q url.Values) error {
	err := everywhere(at, func(address string) error {
		return lines(ctx, address, q, func(line string) error {
			t.mu.Lock()
			defer t.mu.Unlock()
			return t.print(line)
		})
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // Ctrl-C is how it ends
	}
	return err
}

// everywhere runs f for every address at once, and fails when it does for each, or when the arguments are wrong.
func everywhere(at []string, f func(address string) error) error {
	errs := make([]error, len(at))
	var wg sync.WaitGroup
	for i, address := range at {
		wg.Go(func() { errs[i] = f(address) })
	}
	wg.Wait()
	var failed []error
	for i, err := range errs {
		var usage *usageError
		if errors.As(err, &usage) {
			return err
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", at[i], err))
		}
	}
	if len(failed) < len(at) {
		return nil
	}
	return &codedError{exitUnreachable, fmt.Errorf("no process answers at its admin listener: %w", errors.Join(failed...))}
}

func when(line string) time.Time {
	var l struct {
		Time time.Time `json:"time"`
	}
	_ = json.Unmarshal([]byte(line), &l) // one without a time comes first
	return l.Time
}

// print writes a line as it is, or for people: time, level, module, message, and the rest.
func (t *tail) print(line string) error {
	if t.raw {
		_, err := fmt.Fprintln(t.out, line)
		return err
	}
	var l map[string]any
	if json.Unmarshal([]byte(line), &l) != nil {
		_, err := fmt.Fprintln(t.out, line)
		return err
	}
	var b strings.Builder
	at := "--:--:--.---"
	if w := when(line); !w.IsZero() {
		at = w.Local().Format("15:04:05.000")
	}
	fmt.Fprintf(&b, "%s %-5v %-12v %v", at, l["level"], or(l["module"], "-"), l["msg"])
	for _, k := range []string{"time", "level", "module", "msg"} {
		delete(l, k)
	}
	keys := make([]string, 0, len(l))
	for k := range l {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		v, err := json.Marshal(l[k])
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, " %s=%s", k, v)
	}
	_, err := fmt.Fprintln(t.out, b.String())
	return err
}

func or(v any, otherwise string) any {
	if v == nil {
		return otherwise
	}
	return v
}
