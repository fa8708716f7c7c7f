package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/discovery"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/mesh"
	"github.com/cleavehq/cleave/chassis/rpc"
)

// parts are what a command has opened, and closes in the other order.
type parts struct{ close []func() error }

func (p *parts) add(f func() error) { p.close = append(p.close, f) }

// Close closes everything, the last first.
func (p *parts) Close() error {
	var errs []error
	for i := len(p.close) - 1; i >= 0; i-- {
		errs = append(errs, p.close[i]())
	}
	p.close = nil
	return errors.Join(errs...)
}

// registry opens the registry that the settings choose.
func (p *parts) registry(s settings, log *slog.Logger) (registry.Registry, error) {
	var r interface {
		registry.Registry
		io.Closer
	}
	var err error
	if s.Registry == registryConsul {
		var conf *api.Config
		if conf, err = consulConfig(s); err != nil {
			return nil, err
		}
		r, err = discovery.NewConsul(discovery.ConsulConfig{API: conf, Log: log})
	} else {
		r, err = discovery.NewMDNS(discovery.MDNSConfig{Domain: s.MDNS.Domain, Log: log})
	}
	if err != nil {
		return nil, fmt.Errorf("open the registry: %w", err)
	}
	p.add(r.Close)
	return r, nil
}

// client opens a client, which shows an identity unless that is nil.
func (p *parts) client(conf rpc.ClientConfig, as *mesh.Identity) (*rpc.Client, error) {
	if as != nil {
		as.Client(&conf)
	}
	c, err := rpc.NewClient(conf)
	if err != nil {
		return nil, err
	}
	p.add(c.Close)
	if as != nil {
		stop := as.Renew(c)
		p.add(func() error { stop(); return nil })
	}
	return c, nil
}

// broker connects the broker that the settings choose, and says where it is and, for people, what.
func (p *parts) broker(s settings, log *slog.Logger) (b broker.Broker, at, what string, err error) {
	at = s.Broker
	switch {
	case at == embedded:
		e, err := events.StartEmbedded(events.EmbeddedConfig{Dir: filepath.Join(s.Data.Dir, "nats"), Port: lastPort(s), Log: log})
		if err != nil {
			return nil, "", "", fmt.Errorf("start the embedded NATS: %w", err)
		}
		p.add(func() error {
			e.Shutdown()
			return nil
		})
		at = e.URL()
		if err := keepPort(s, at); err != nil {
			return nil, "", "", err
		}
		what = "NATS JetStream, embedded, at " + at
		b, err = events.NewJetStream(events.JetStreamConfig{URL: at, Name: "cleave", Log: log})
		if err != nil {
			return nil, "", "", err
		}
	case strings.HasPrefix(at, "amqp"):
		what = "RabbitMQ at " + redacted(at)
		b, err = events.NewRabbitMQ(events.RabbitConfig{URL: at, Name: "cleave", Log: log})
	default:
		what = "NATS JetStream at " + redacted(at)
		b, err = events.NewJetStream(events.JetStreamConfig{URL: at, Name: "cleave", Log: log})
	}
	if err != nil {
		return nil, "", "", fmt.Errorf("open the broker: %w", err)
	}
	if err := b.Connect(); err != nil {
		return nil, "", "", &codedError{exitUnreachable, fmt.Errorf(
			"the broker doesn't answer at %s: %w\nStart one there, or run with --broker embedded", redacted(at), err)}
	}
	p.add(b.Disconnect)
	return b, at, what, nil
}

// redacted is a URL without its password.
func redacted(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "an address that is no URL"
	}
	return u.Redacted()
}
