package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

const maxTrace = 32 << 20 // bytes of one process's answer

func (a *app) trace() *cobra.Command {
	wait := time.Duration(0)
	c := &cobra.Command{
		Use: "trace ID", Short: "Show a trace: what happened where, and how long it took", GroupID: "speak", Args: exactly(cobra.ExactArgs(1)),
		Long: `trace asks the admin listener of every process in the registry for its spans of a trace, and draws them. Every answer of the gateway has
the trace's id in its Traceparent header, every error in trace_id, every line of the log too. No collector is needed; a process remembers its
last 8,192 spans, and 2,048 more of traces in which something failed or was slow.`,
		Example: "  cleave trace 4bf92f3577b34da6a3ce929d0e0e4736",
		RunE: func(c *cobra.Command, args []string) (err error) {
			id, err := traceID(args[0])
			if err != nil {
				return err
			}
			se, err := a.session(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, se.Close()) }()
			spans, err := se.spansOf(c.Context(), id, wait)
			if err != nil {
				return err
			}
			if len(spans) == 0 {
				return &codedError{exitNotFound, fmt.Errorf("no process in the registry knows a span of %s: it is too long ago, or recording is off (--trace-on)", id)}
			}
			return a.showTrace(se.s, spans)
		},
	}
	c.Flags().DurationVar(&wait, "wait", wait, "how long to go on asking for spans that may come")
	return c
}

// traceID takes a trace's id, or a whole traceparent.
func traceID(text string) (string, error) {
	if parts := strings.Split(text, "-"); len(parts) == 4 {
		text = parts[1]
	}
	if _, err := trace.TraceIDFromHex(text); err != nil {
		return "", usagef("a trace's id has 32 hexadecimal digits, such as 4bf92f3577b34da6a3ce929d0e0e4736")
	}
	return text, nil
}

func (a *app) showTrace(s settings, spans []telemetry.SpanJSON) error {
	if s.Output == "json" {
		return a.json(spans)
	}
	_, err := a.env.Stdout.Write(waterfall(spans))
	return err
}

// admins are the admin listeners of all processes in the registry.
func (se *session) admins() ([]string, error) {
	list, err := se.processes()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range list {
		if p.Admin != "" {
			out = append(out, p.Admin)
		}
	}
	return out, nil
}

// spansOf asks every process, and again until nothing has been added for a moment, when it may wait.
func (se *session) spansOf(ctx context.Context, id string, wait time.Duration) ([]telemetry.SpanJSON, error) {
	at, err := se.admins()
	if err != nil {
		return nil, err
	}
	if len(at) == 0 {
		return nil, &codedError{exitNotFound, errors.New("no process in the registry says where its admin listener is")}
	}
	until := time.Now().Add(wait)
	for {
		spans, err := askAll(ctx, at, id)
		if err != nil || wait <= 0 || time.Now().After(until) {
			return spans, err
		}
		select {
		case <-ctx.Done():
			return spans, nil
		case <-time.After(min(time.Until(until), 250*time.Millisecond)):
		}
	}
}

// askAll merges what the processes know. It fails when none answers.
func askAll(ctx context.Context, at []string, id string) ([]telemetry.SpanJSON, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		all    []telemetry.SpanJSON
		failed []error
	)
	for _, address := range at {
		wg.Go(func() {
			spans, err := askOne(ctx, address, id)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, spans...)
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", address, err))
			}
		})
	}
	wg.Wait()
	if len(failed) == len(at) {
		return nil, &codedError{exitUnreachable, fmt.Errorf("no process answers at its admin listener: %w", errors.Join(failed...))}
	}
	return merged(all), nil
}

// merged sorts spans by their start, each once.
func merged(all []telemetry.SpanJSON) []telemetry.SpanJSON {
	seen := map[string]bool{}
	all = slices.DeleteFunc(all, func(s telemetry.SpanJSON) bool {
		again := seen[s.ID]
		seen[s.ID] = true
		return again
	})
	slices.SortStableFunc(all, func(a, b telemetry.SpanJSON) int {
		return cmp.Or(a.Start.Compare(b.Start), -cmp.Compare(a.Nanos, b.Nanos))
	})
	return all
}

func askOne(ctx context.Context, address, id string) ([]telemetry.SpanJSON, error) {
	rsp, err := get(ctx, address, "/traces/"+id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rsp.Body.Close() }()
	switch rsp.StatusCode {
	case http.StatusNotFound:
		return nil, nil
	case http.StatusOK:
	default:
		return nil, errors.New(rsp.Status)
	}
	var spans []telemetry.SpanJSON
	err = json.NewDecoder(http.MaxBytesReader(nil, rsp.Body, maxTrace)).Decode(&spans)
	return spans, err
}

// get asks an admin listener for a page.
func get(ctx context.Context, address, page string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+page, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}
