package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// metricsEvery is how often metrics go out.
const metricsEvery = 30 * time.Second

// Metrics sends what a Prometheus registry gathers, with its exemplars.
type Metrics struct {
	reader   *metric.ManualReader
	provider *metric.MeterProvider
	to       *otlpmetrichttp.Exporter
	log      *slog.Logger

	stop, stopped chan struct{}
}

// NewMetrics begins to send. What fails is said in the log, and tried again the next time. Close it.
func NewMetrics(ctx context.Context, c Config, from prometheus.Gatherer, log *slog.Logger) (*Metrics, error) {
	base, err := c.base()
	if err != nil {
		return nil, err
	}
	to, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(base+"/v1/metrics"),
		otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression), otlpmetrichttp.WithTimeout(exportTime))
	if err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	reader := metric.NewManualReader(metric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(from))))
	m := &Metrics{
		reader: reader, to: to, log: log, stop: make(chan struct{}), stopped: make(chan struct{}),
		provider: metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(resource.NewSchemaless(
			attribute.String("service.name", c.Host), attribute.String("service.namespace", "cleave"),
			attribute.String("service.version", c.Version), attribute.String("service.instance.id", c.Host),
		))),
	}
	go m.run(context.WithoutCancel(ctx))
	return m, nil
}

func (m *Metrics) run(ctx context.Context) {
	defer close(m.stopped)
	tick := time.NewTicker(metricsEvery)
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-m.stop:
			return
		case <-tick.C:
		}
		err := m.send(ctx)
		if err != nil && !failed {
			m.log.WarnContext(ctx, "metrics could not be exported", "error", err)
		}
		failed = err != nil
	}
}

func (m *Metrics) send(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, exportTime)
	defer cancel()
	var all metricdata.ResourceMetrics
	if err := m.reader.Collect(ctx, &all); err != nil {
		return fmt.Errorf("otlp: gather metrics: %w", err)
	}
	if err := m.to.Export(ctx, &all); err != nil {
		return fmt.Errorf("otlp: export metrics: %w", err)
	}
	return nil
}

// Close sends once more, until ctx ends, and ends it. It is to be called once.
func (m *Metrics) Close(ctx context.Context) error {
	close(m.stop)
	<-m.stopped
	return errors.Join(m.send(ctx), m.provider.Shutdown(ctx), m.to.Shutdown(ctx))
}
