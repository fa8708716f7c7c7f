package mesh

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/url"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/proto-public/pbconnectca"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

const (
	signTime     = 10 * time.Second
	signAgainMax = 30 * time.Second
	turnSpread   = 500 * time.Millisecond // within which all ask for new certificates after the root has changed
)

// Leaf implements Source, with the ConnectCAService of Consul's servers. A certificate is replaced when half to six tenths of its time are over,
// and when Consul's CA has another root. leaf_cert_ttl is 72 h unless Consul is told otherwise.
func (c *Consul) Leaf(ctx context.Context, service string, fn func(tls.Certificate)) error {
	turns := make(chan turn, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = follow(ctx, c.log, "active root", c.active, func(t turn) { // it ends with ctx
			select {
			case <-turns: // an older one, that nobody has taken
			default:
			}
			turns <- t
		})
	}()
	defer func() { <-ended }()
	var now turn
	var due <-chan time.Time
	var again time.Duration // after a failure; 0 when there is none
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case next := <-turns:
			if next == now {
				continue
			}
			if now != (turn{}) {
				wait(ctx, mathrand.N(turnSpread)) //nolint:gosec // jitter
			}
			now = next
		case <-due:
		}
		cert, err := c.sign(ctx, now.domain, service)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if again == 0 {
				c.log.WarnContext(ctx, "Consul signs no certificate; the one before is kept for as long as it holds", "service", service, "error", err)
			}
			again = min(max(2*again, consulAgain), signAgainMax)
			due = time.After(again)
			continue
		}
		again = 0
		life := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)
		due = time.After(max(time.Until(cert.Leaf.NotBefore.Add(life/2+mathrand.N(life/10+1))), consulAgain)) //nolint:gosec // jitter
		fn(cert)
	}
}

// turn is which root signs, and of what trust domain it is.
type turn struct{ root, domain string }

func (c *Consul) active(q *api.QueryOptions) (turn, *api.QueryMeta, error) {
	list, meta, err := c.client.Agent().ConnectCARoots(q)
	if err != nil {
		return turn{}, nil, err
	}
	return turn{list.ActiveRootID, list.TrustDomain}, meta, nil
}

// sign makes a key, and has a certificate signed for it.
func (c *Consul) sign(ctx context.Context, domain, service string) (tls.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, signTime)
	defer cancel()
	dc, err := c.datacenter(ctx)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a key: %w", err)
	}
	id := ID{TrustDomain: domain, Datacenter: dc, Service: service}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{id.URL()}}, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a request for a certificate: %w", err)
	}
	conn, err := grpc.NewClient("passthrough:///"+c.grpc, grpc.WithTransportCredentials(c.creds))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("connect to Consul's gRPC port: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if c.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-consul-token", c.token)
	}
	rsp, err := pbconnectca.NewConnectCAServiceClient(conn).Sign(ctx, &pbconnectca.SignRequest{
		Csr: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})),
	})
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("sign at %s: %w", c.grpc, err)
	}
	out := tls.Certificate{PrivateKey: key}
	for rest := []byte(rsp.GetCertPem()); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		out.Certificate = append(out.Certificate, block.Bytes)
	}
	if len(out.Certificate) == 0 {
		return tls.Certificate{}, errors.New("the certificate that Consul signed is no PEM")
	}
	if out.Leaf, err = x509.ParseCertificate(out.Certificate[0]); err != nil {
		return tls.Certificate{}, fmt.Errorf("read Consul's certificate: %w", err)
	}
	return out, nil
}

// datacenter is the one that Consul's server is in.
func (c *Consul) datacenter(ctx context.Context) (string, error) {
	list, _, err := c.client.Health().Service("consul", "", false, (&api.QueryOptions{AllowStale: true}).WithContext(ctx))
	if err != nil {
		return "", fmt.Errorf("ask Consul for its datacenter: %w", err)
	}
	if len(list) == 0 {
		return "", errors.New("the token may not read the service consul, or its nodes")
	}
	return list[0].Node.Datacenter, nil
}
