package mesh

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/consul/api"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	consulWait   = 5 * time.Minute // of one blocking query
	consulAnswer = 10 * time.Second
	consulAgain  = 500 * time.Millisecond
)

// ConsulConfig says where Consul is. Client and GRPC must be given.
type ConsulConfig struct {
	// Client speaks to the agent.
	Client *api.Client
	// GRPC is the gRPC port of a server, host:port: ports.grpc_tls, 8503 as a rule, with TLS; else ports.grpc, 8502 as a rule, on loopback.
	GRPC string
	// TLS is what that port is spoken to with; nil: in the clear.
	TLS *tls.Config
	// Token goes with what is asked there: the client's. It needs service:write for the services whose certificates are asked for, and
	// service:read and node:read for all.
	Token string
	// Log gets outages and returns; nil discards.
	Log *slog.Logger
}

// Consul is the Source of Consul's built-in CA and of its intentions.
//
// A service's key is made here, and stays in this process; a server signs it for who has a token that may write the service. The agent's own
// endpoint for certificates (/v1/agent/connect/ca/leaf) is not used: it makes the key itself, keeps it, and gives both to whoever asks for
// them from then on, whatever their token, and without one (agent/leafcert of Consul 1.22: the token is no part of what it remembers them by).
type Consul struct {
	client *api.Client
	grpc   string
	creds  credentials.TransportCredentials
	token  string
	log    *slog.Logger
}

var _ Source = (*Consul)(nil)

// NewConsul doesn't speak to Consul yet.
func NewConsul(c ConsulConfig) (*Consul, error) {
	if c.Client == nil || c.GRPC == "" {
		return nil, errors.New("mesh: ConsulConfig needs a Client and GRPC")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	creds := insecure.NewCredentials()
	if c.TLS != nil {
		creds = credentials.NewTLS(c.TLS)
	}
	return &Consul{client: c.Client, grpc: c.GRPC, creds: creds, token: c.Token, log: c.Log}, nil
}

// Roots implements Source: GET /v1/agent/connect/ca/roots.
func (c *Consul) Roots(ctx context.Context, fn func(Roots)) error {
	return follow(ctx, c.log, "roots", func(q *api.QueryOptions) (Roots, *api.QueryMeta, error) {
		list, meta, err := c.client.Agent().ConnectCARoots(q)
		if err != nil {
			return Roots{}, nil, err
		}
		out := Roots{TrustDomain: list.TrustDomain}
		for _, r := range list.Roots {
			block, _ := pem.Decode([]byte(r.RootCertPEM))
			if block == nil {
				return Roots{}, nil, fmt.Errorf("the root %s is no PEM", r.ID)
			}
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return Roots{}, nil, fmt.Errorf("the root %s: %w", r.ID, err)
			}
			out.Certs = append(out.Certs, cert)
		}
		return out, meta, nil
	}, fn)
}

// Intentions implements Source: GET /v1/connect/intentions. Those with permissions of layer 7 count as denials, as they do at Consul's own
// authorize endpoint: this side sees no HTTP. Those of sources in other clusters are about nobody here.
func (c *Consul) Intentions(ctx context.Context, fn func(Intentions)) error {
	return follow(ctx, c.log, "intentions", func(q *api.QueryOptions) (Intentions, *api.QueryMeta, error) {
		list, meta, err := c.client.Connect().Intentions(q)
		if err != nil {
			return Intentions{}, nil, err
		}
		otherwise, err := c.otherwise(q.Context())
		if err != nil {
			return Intentions{}, nil, err
		}
		var out []Intention
		for _, i := range list {
			if i.SourcePeer == "" && i.SourceSamenessGroup == "" {
				out = append(out, Intention{
					Source: i.SourceName, Destination: i.DestinationName, Allow: i.Action == api.IntentionActionAllow && len(i.Permissions) == 0,
				})
			}
		}
		return NewIntentions(out, otherwise), meta, nil
	}, fn)
}

// otherwise finds the default out: what Consul says of two services that nobody has heard of. An intention of * to * would decide that as well,
// and then it decides all that the default might.
func (c *Consul) otherwise(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, consulAnswer)
	defer cancel()
	ok, _, err := c.client.Connect().IntentionCheck(
		&api.IntentionCheck{Source: uuid.NewString(), Destination: uuid.NewString()}, (&api.QueryOptions{}).WithContext(ctx))
	var status api.StatusError
	if errors.As(err, &status) && status.Code == 403 {
		return false, nil // who may not know is told the careful answer
	}
	return ok, err
}

// follow asks again and again, with blocking queries, and tells fn of each answer that is new.
// https://developer.hashicorp.com/consul/api-docs/features/blocking
func follow[T any](
	ctx context.Context, log *slog.Logger, what string, ask func(*api.QueryOptions) (T, *api.QueryMeta, error), fn func(T),
) error {
	var index uint64
	away := false
	for ctx.Err() == nil {
		limit := consulAnswer
		if index > 0 {
			limit += consulWait + consulWait/16
		}
		one, cancel := context.WithTimeout(ctx, limit)
		got, meta, err := ask((&api.QueryOptions{WaitIndex: index, WaitTime: consulWait}).WithContext(one))
		cancel()
		if err == nil && meta.LastIndex < index {
			err = fmt.Errorf("its index went backwards, from %d to %d", index, meta.LastIndex)
		}
		if err != nil {
			if index = 0; ctx.Err() != nil {
				break
			}
			if !away {
				log.WarnContext(ctx, "Consul doesn't answer for the mesh; what it said last holds", "what", what, "error", err)
			}
			away = true
			wait(ctx, consulAgain)
			continue
		}
		if away {
			log.InfoContext(ctx, "Consul answers for the mesh again", "what", what)
		}
		away = false
		if next := max(meta.LastIndex, 1); next != index {
			index = next
			fn(got)
		}
	}
	return ctx.Err()
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
