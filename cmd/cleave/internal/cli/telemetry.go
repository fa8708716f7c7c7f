package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/admin"
	"github.com/cleavehq/cleave/chassis/config"
	"github.com/cleavehq/cleave/chassis/telemetry"
	"github.com/cleavehq/cleave/chassis/telemetry/otlp"
)

// traceSettings say what is recorded, and which part of it is exported.
type traceSettings struct {
	On     bool          `koanf:"on"`
	Sample float64       `koanf:"sample"`
	Slow   time.Duration `koanf:"slow"`
}

// otlpSettings say where it is exported to.
type otlpSettings struct {
	Endpoint string `koanf:"endpoint" secret:"url"`
}

func defaultTrace() traceSettings {
	return traceSettings{On: true, Sample: telemetry.DefaultSample, Slow: telemetry.DefaultSlow}
}

// defaultOTLP is OpenTelemetry's own variable.
func defaultOTLP() otlpSettings {
	return otlpSettings{Endpoint: os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")}
}

func (t traceSettings) validate() error {
	var errs []error
	if !(t.Sample >= 0 && t.Sample <= 1) {
		errs = append(errs, config.Invalid("trace.sample", "%v is not from 0 to 1", t.Sample))
	}
	if t.Slow <= 0 {
		errs = append(errs, config.Invalid("trace.slow", "%v is no time that a call could take", t.Slow))
	}
	return errors.Join(errs...)
}

func (o otlpSettings) validate() error {
	if o.Endpoint == "" {
		return nil
	}
	if u, err := url.Parse(o.Endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return config.Invalid("otlp.endpoint", "it is no address such as http://127.0.0.1:4318")
	}
	return nil
}

// telemetryFlags are those of every command that serves.
func telemetryFlags(f *pflag.FlagSet) {
	d := defaultTrace()
	f.Bool("trace-on", d.On, "record spans: the last ones are at the admin listener, for cleave trace")
	f.Float64("trace-sample", d.Sample, "part of the traces that is exported, 0 to 1; those with failures or slow spans are in any case")
	f.Duration("trace-slow", d.Slow, "how long a span takes that is kept for it")
	f.String("otlp-endpoint", "", "collector that gets spans and metrics by OTLP over HTTP, such as http://127.0.0.1:4318; OTEL_EXPORTER_OTLP_ENDPOINT is read too")
}

// logs are what the log of this process can be asked for while it runs.
type logs struct {
	levels *telemetry.Levels
	ring   *telemetry.LogRing
}

func newLogs(level slog.Level) logs {
	return logs{telemetry.NewLevels(level), &telemetry.LogRing{}}
}

// logger writes to w, and into the ring.
func (l logs) logger(w io.Writer, format string) (*slog.Logger, error) {
	return telemetry.NewLog(telemetry.LogConfig{Writer: w, Format: format, Levels: l.levels, Ring: l.ring})
}

// follow takes the levels of settings that were validated: a module that they don't name has the level of all again.
func (l logs) follow(s settings) {
	var all slog.Level
	_ = all.UnmarshalText([]byte(s.Log.Level)) // validated
	of, _ := moduleLevels(s.Log.Levels)        // likewise
	_ = l.levels.Replace(all, of)              // likewise
}

// moduleLevels reads order=debug.
func moduleLevels(list []string) (map[string]slog.Level, error) {
	out := make(map[string]slog.Level, len(list))
	for _, said := range list {
		module, text, ok := strings.Cut(said, "=")
		var level slog.Level
		if err := level.UnmarshalText([]byte(text)); !ok || err != nil || module == "" {
			return nil, fmt.Errorf("%q is not a module and its level, such as order=debug", said)
		}
		out[module] = level
	}
	return out, telemetry.CheckLevels(out)
}

// processName is the host's, or the gateway's when it is alone.
func processName(s settings, what serving) string {
	if what.gateway && len(what.modules) == 0 {
		return cmp.Or(s.Host, api.Name)
	}
	return hostName(s, what)
}

const flushTime = 5 * time.Second // for the last spans and metrics when a process ends

// telemetry makes the process's tracer, nil when it is off, begins to export, and shows all of it at the admin listener.
func (p *parts) telemetry(
	ctx context.Context, s settings, name string, metrics *prometheus.Registry, own *admin.Server, l logs, log *slog.Logger,
) (*telemetry.Tracer, error) {
	own.Handle("GET /logs", l.ring)
	own.Handle("GET /log-level", l.levels)
	own.Handle("PUT /log-level", l.levels)
	c := telemetry.Config{Host: name, Sample: s.Trace.Sample, Slow: s.Trace.Slow, Log: log, Metrics: metrics}
	if s.OTLP.Endpoint != "" {
		to := otlp.Config{Endpoint: s.OTLP.Endpoint, Host: name, Version: cmp.Or(s.Module.Version, version().Version)}
		spans, err := otlp.NewSpans(ctx, to)
		if err != nil {
			return nil, err
		}
		c.Export = spans
		sent, err := otlp.NewMetrics(ctx, to, metrics, log)
		if err != nil {
			return nil, err
		}
		p.add(func() error { return quietly(ctx, log, "the last metrics", sent.Close) })
	}
	if !s.Trace.On {
		return nil, nil //nolint:nilnil // a nil tracer records nothing
	}
	t, err := telemetry.New(c)
	if err != nil {
		return nil, err
	}
	p.add(func() error { return quietly(ctx, log, "the last spans", t.Close) })
	own.Handle("GET /traces", t.List())
	own.Handle("GET /traces/{id}", t.Show())
	return t, nil
}

// quietly ends an export: a collector that is away is no failure of this process.
func quietly(ctx context.Context, log *slog.Logger, what string, end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := end(ctx); err != nil {
		log.WarnContext(ctx, "not all could be exported at the end", "what", what, "error", err)
	}
	return nil
}
