package telemetry

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"
)

const (
	defaultList = 50
	maxList     = 1000
)

// TraceJSON is a trace in the list: what one process knows of it.
type TraceJSON struct {
	Trace   string    `json:"trace_id"`
	Start   time.Time `json:"start"`
	Nanos   int64     `json:"duration_ns"`
	Service string    `json:"service"`
	Name    string    `json:"name"` // of the first span
	Spans   int       `json:"spans"`
	Failed  bool      `json:"failed,omitempty"`
}

// List is the page GET /traces?limit=50: the last traces that the process had a part in, the newest first, at most 1,000. Of a nil tracer it
// says 404.
func (t *Tracer) List() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit, err := number(r.URL.Query().Get("limit"), defaultList, maxList)
		switch {
		case t == nil:
			http.Error(w, "this process records no spans", http.StatusNotFound)
			return
		case err != nil:
			http.Error(w, "limit is a number from 1 to 1000", http.StatusBadRequest)
			return
		}
		out := []TraceJSON{}
		for _, u := range t.ring.summaries(limit) {
			out = append(out, TraceJSON{
				Trace: u.top.Trace.String(), Start: time.Unix(0, u.first).UTC(), Nanos: u.last - u.first, Service: u.top.Service, Name: u.top.Name,
				Spans: u.spans, Failed: u.failed,
			})
		}
		answer(w, out)
	})
}

// Show is the page GET /traces/{id}: the spans of one trace that this process knows, the earliest first; 404 when there are none.
func (t *Tracer) Show() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := trace.TraceIDFromHex(r.PathValue("id"))
		if err != nil {
			http.Error(w, "a trace's id has 32 hexadecimal digits", http.StatusBadRequest)
			return
		}
		out := t.Spans(id)
		if len(out) == 0 {
			http.Error(w, "this process knows no span of that trace", http.StatusNotFound)
			return
		}
		answer(w, out)
	})
}

// Spans are those of one trace that this process knows, the earliest first; of a nil tracer there are none.
func (t *Tracer) Spans(id trace.TraceID) []SpanJSON {
	if t == nil {
		return nil
	}
	spans := t.ring.trace(id)
	out := make([]SpanJSON, len(spans))
	for i := range spans {
		out[i] = spans[i].JSON(t.c.Host)
	}
	return out
}

func number(text string, otherwise, most int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err == nil && (n < 1 || n > most) {
		err = strconv.ErrRange
	}
	return n, err
}

// answer writes v; whoever asked may have gone.
func answer(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "it can't be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n'))
}
