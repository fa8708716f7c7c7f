package cli

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"go-micro.dev/v4/broker"

	"github.com/cleavehq/cleave/chassis/events"
)

const connectAgain = 2 * time.Second

// gatewayBroker is the broker of a gateway that runs alone, and what it is for people. It is connected as soon as it answers: without it the gateway
// does all but topics and hooks.
func (p *parts) gatewayBroker(ctx context.Context, s settings, log *slog.Logger) (b broker.Broker, what string, err error) {
	if s.Broker == embedded { // in a host on the same data
		if s.Broker, err = embeddedBroker(s); err != nil {
			return nil, "", err
		}
	}
	switch {
	case s.Broker == noBroker:
		return nil, noBroker, nil
	case strings.HasPrefix(s.Broker, "amqp"):
		what = "RabbitMQ at " + redacted(s.Broker)
		b, err = events.NewRabbitMQ(events.RabbitConfig{URL: s.Broker, Name: "cleave-gateway", Log: log})
	default:
		what = "NATS JetStream at " + redacted(s.Broker)
		b, err = events.NewJetStream(events.JetStreamConfig{URL: s.Broker, Name: "cleave-gateway", Log: log})
	}
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for told := false; ctx.Err() == nil; told = true {
			if err := b.Connect(); err == nil {
				return
			} else if !told {
				log.WarnContext(ctx, "the broker doesn't answer; until it does there are no topics and no hooks", "broker", redacted(s.Broker), "error", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(connectAgain):
			}
		}
	}()
	p.add(func() error {
		cancel()
		<-ended
		return b.Disconnect()
	})
	return b, what, nil
}
