package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/bench/echo"
	"github.com/cleavehq/cleave/bench/internal/stat"
	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/chassis/telemetry"
	"github.com/cleavehq/cleave/chassis/telemetry/otlp"
)

// partTelemetry measures what telemetry costs remote calls: the same calls over the lane, 128 at once, with nothing of it and with all of it,
// in turns.
const (
	partTelemetry = "telemetry"
	telemetryAt   = 128
	telemetryOff  = "telemetry off"
	telemetryOn   = "telemetry on"
)

// observedStacks are the lane without metrics and spans, and with: every span of both sides is kept in memory, a tenth of the traces goes by
// OTLP to a collector that throws them away, and both sides count.
func observedStacks() []stack {
	return []stack{
		{telemetryOff, serveObserved(false), dialObserved(false)},
		{telemetryOn, serveObserved(true), dialObserved(true)},
	}
}

// tracer exports to a collector in this process.
func tracer(host string, metrics prometheus.Registerer) (*telemetry.Tracer, error) {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // that is all it does
	}))
	to, err := otlp.NewSpans(context.Background(), otlp.Config{Endpoint: collector.URL, Host: host, Version: "bench"})
	if err != nil {
		return nil, err
	}
	return telemetry.New(telemetry.Config{Host: host, Sample: 0.1, Export: to, Metrics: metrics})
}

func serveObserved(on bool) func() (string, error) {
	return func() (string, error) {
		c := rpc.ServerConfig{
			Name: "echo", Contract: echo.File_echo_proto, Registry: registry.NewMemoryRegistry(), Log: slog.New(slog.DiscardHandler),
		}
		if on {
			metrics := prometheus.NewRegistry()
			t, err := tracer("server", metrics)
			if err != nil {
				return "", err
			}
			c.Tracer, c.Metrics = t, metrics
		}
		s, err := rpc.NewServer(c)
		if err != nil {
			return "", err
		}
		if err := echo.RegisterEchoHandler(s, echoer{}); err != nil {
			return "", err
		}
		if err := s.Start(); err != nil {
			return "", err
		}
		return s.Address(), nil
	}
}

func dialObserved(on bool) func(string) (say, error) {
	return func(address string) (say, error) {
		reg, err := alone("echo", address)
		if err != nil {
			return nil, err
		}
		conf := rpc.ClientConfig{Registry: reg, Log: slog.New(slog.DiscardHandler)}
		with := func(ctx context.Context) context.Context { return ctx }
		if on {
			metrics := prometheus.NewRegistry()
			t, err := tracer("client", metrics)
			if err != nil {
				return nil, err
			}
			conf.Metrics = metrics
			traced := telemetry.WithTracer(context.Background(), t) // made once, as a host does
			with = func(context.Context) context.Context { return traced }
		}
		c, err := rpc.NewClient(conf)
		if err != nil {
			return nil, err
		}
		s := echo.NewEchoService("echo", client.Client(c))
		return func(ctx context.Context, in *echo.Message) (*echo.Message, error) { return s.Say(with(ctx), in) }, nil
	}
}

// observed lets the two take turns.
func (p plan) observed() (map[string]map[int][]turn, error) {
	return rounded([]string{telemetryOff, telemetryOn}, []int{telemetryAt}, p.rounds, p.turn)
}

// telemetryCost compares each turn with telemetry to the one without right before it, and returns the medians of throughput and processor time.
func telemetryCost(of map[string]map[int][]turn) (throughput, cpu float64) {
	var rates, costs []float64
	off, on := of[telemetryOff][telemetryAt], of[telemetryOn][telemetryAt]
	for i := range min(len(off), len(on)) {
		rate := func(t turn) float64 { return float64(t.Calls) / t.Took.Seconds() }
		each := func(t turn) float64 { return float64(t.CPU) / float64(t.Calls) }
		rates = append(rates, rate(on[i])/rate(off[i]))
		costs = append(costs, each(on[i])/each(off[i]))
	}
	return stat.Median(rates), stat.Median(costs)
}

func printTelemetry(w io.Writer, of map[string]map[int][]turn) error {
	rate, cpu := telemetryCost(of)
	_, err := fmt.Fprintf(w, "\nWith telemetry on, %d calls at once over the lane: %.0f %% of the throughput, %.0f %% of the processor time.\n",
		telemetryAt, 100*rate, 100*cpu)
	return err
}
