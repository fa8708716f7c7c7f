package main

import "strings"

// class is a name for the stacks with a frame that has one of the texts in it.
type class struct {
	name  string
	texts []string
}

func (c class) holds(frame string) bool {
	for _, t := range c.texts {
		if strings.Contains(frame, t) {
			return true
		}
	}
	return false
}

func (c class) within(frames []string) bool {
	for _, f := range frames {
		if c.holds(f) {
			return true
		}
	}
	return false
}

func collector() class {
	return class{"garbage collector", []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge"}}
}

// code says in whose code a sample is: the innermost frame that isn't the runtime's, the kernel's or a common library's decides.
func code(s stack) string {
	if gc := collector(); gc.within(s.frames) {
		return gc.name
	}
	prepare := class{"SQLite: read the statement", []string{"modernc.org/sqlite.(*conn).prepareV2", "modernc.org/sqlite/lib._sqlite3Prepare"}}
	known := []class{
		{"SQLite: run the statement", []string{"modernc.org/"}},
		{"PostgreSQL's driver", []string{"jackc/pgx"}},
		{"database/sql", []string{"database/sql."}},
		{"NATS server", []string{"nats-io/nats-server"}},
		{"NATS client", []string{"nats-io/nats.go"}},
		{"OpenTelemetry, Prometheus", []string{"go.opentelemetry.io/", "prometheus/"}},
		{"gRPC and HTTP", []string{"google.golang.org/grpc", "net/http.", "golang.org/x/net/http"}},
		{"protobuf and validation", []string{"google.golang.org/protobuf", "buf.build/", "cel.dev/", "google/cel-go"}},
		{"JSON", []string{"encoding/json"}},
		{"log", []string{"log/slog"}},
		{"gateway", []string{"cleavehq/cleave/api"}},
		{"modules", []string{"cleavehq/cleave/services"}},
		{"chassis", []string{"cleavehq/cleave/chassis"}},
	}
	for _, f := range s.frames {
		for _, c := range known {
			if !c.holds(f) {
				continue
			}
			if strings.HasPrefix(c.name, "SQLite") && prepare.within(s.frames) {
				return prepare.name
			}
			return c.name
		}
	}
	return "Go's scheduler, and what no frame tells"
}

// purpose says what a sample is for: the first of these that is anywhere in the stack.
func purpose(s stack) string {
	for _, c := range []class{
		collector(),
		{"relays: publish the outbox", []string{"outbox.(*Relay)"}},
		{"broker: the embedded NATS", []string{"nats-io/nats-server"}},
		{"requests: gateway to answer", []string{"cleavehq/cleave/api"}},
		{"consumers: apply events", []string{"chassis/outbox", "chassis/events", "nats-io/nats.go"}},
		{"requests: between modules", []string{"chassis/rpc", "google.golang.org/grpc", "net/http"}},
		{"workers: look for work", []string{"cleavehq/cleave/services", "chassis/lease", "chassis/idempotency"}},
	} {
		if c.within(s.frames) {
			return c.name
		}
	}
	return "Go's scheduler, and what no frame tells"
}
