package mesh

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/credentials"

	"github.com/cleavehq/cleave/chassis/rpc"
)

// healthPrefix is what may be called without an identity.
const healthPrefix = "/grpc.health.v1.Health/"

// Identity is a service's, made by Mesh.Identity. It is safe for concurrent use.
type Identity struct {
	m       *Mesh
	service string
	leaf    atomic.Pointer[tls.Certificate]
	ready   once

	mu    sync.Mutex
	renew map[*func()]struct{}
}

func (i *Identity) set(c tls.Certificate) {
	if c.Leaf == nil {
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			i.m.c.Log.Warn("a certificate that can't be read; the one before is kept", "service", i.service, "error", err)
			return
		}
		c.Leaf = leaf
	}
	first := i.leaf.Swap(&c) == nil
	i.m.denied.rotated(i.service, c.Leaf.NotAfter)
	i.ready.done()
	if first {
		return
	}
	i.m.c.Log.Debug("new certificate", "service", i.service, "until", c.Leaf.NotAfter)
	i.mu.Lock()
	defer i.mu.Unlock()
	for fn := range i.renew {
		(*fn)()
	}
}

// Service is whose identity it is.
func (i *Identity) Service() string { return i.service }

// Server makes a server that is to be made one with this identity: TLS for each connection, and the intentions for each call.
func (i *Identity) Server(c *rpc.ServerConfig) {
	c.TLS = &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{
				MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*i.leaf.Load()}, SessionTicketsDisabled: true,
				ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: i.m.trust.Load().pool,
				VerifyConnection: func(s tls.ConnectionState) error {
					if len(s.PeerCertificates) == 0 {
						return nil // may ask for health
					}
					_, err := i.m.known(s.PeerCertificates[0])
					return err
				},
			}, nil
		},
	}
	c.Authorize = i.Authorize
	c.NoHandshake = i.noHandshake
}

// Client makes a client that is to be made one that calls with this identity, and calls nobody who can't prove to be whom it means. Renew
// belongs to it.
func (i *Identity) Client(c *rpc.ClientConfig) {
	c.TLS, c.TLSOnly = i.clientTLS(nil), true
	c.VerifyPeer = i.verify
}

// Renew renews the connections of a client of this identity each time that its certificate changes, until stop is called.
func (i *Identity) Renew(c *rpc.Client) (stop func()) {
	fn := c.Renew
	i.mu.Lock()
	defer i.mu.Unlock()
	i.renew[&fn] = struct{}{}
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.renew, &fn)
	}
}

// Credentials are those for one gRPC connection to an instance of a service; to one of any service of the trust domain when it is "".
func (i *Identity) Credentials(service string) credentials.TransportCredentials {
	return credentials.NewTLS(i.clientTLS(func(s tls.ConnectionState) error { return i.verify(service, s) }))
}

func (i *Identity) clientTLS(verify func(tls.ConnectionState) error) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// A SPIFFE ID takes the place of a host's name: verify looks at the chain and at it, at each handshake.
		InsecureSkipVerify: true, //nolint:gosec // as above
		VerifyConnection:   verify,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return i.leaf.Load(), nil
		},
	}
}

// verify checks that a server's certificate is good, and a service's.
func (i *Identity) verify(service string, s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("mesh: it shows no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: i.m.trust.Load().pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, CurrentTime: i.m.c.Now(),
	})
	if err != nil {
		return fmt.Errorf("mesh: %w", err)
	}
	id, err := i.m.known(s.PeerCertificates[0])
	if err != nil {
		return err
	}
	if service != "" && id.Service != service {
		return fmt.Errorf("mesh: it is %s, and not %s", id, service)
	}
	return nil
}

// foreignError says that an identity is not of our trust domain, or none.
type foreignError struct {
	reason string
	err    error
}

func (f *foreignError) Error() string { return "mesh: " + f.err.Error() }
func (f *foreignError) Unwrap() error { return f.err }

// known is the identity of a certificate that was verified, when it is of our trust domain.
func (m *Mesh) known(c *x509.Certificate) (ID, error) {
	id, err := IDOf(c)
	if err != nil {
		return ID{}, &foreignError{reasonBadIdentity, err}
	}
	if domain := m.trust.Load().domain; !strings.EqualFold(id.TrustDomain, domain) {
		return ID{}, &foreignError{reasonTrustDomain, fmt.Errorf("%s is of another trust domain than %s", id, domain)}
	}
	return id, nil
}

// Authorize says whether a call may be made to this service: rpc.ServerConfig's Authorize. Its error is PermissionDenied.
func (i *Identity) Authorize(method string, peer *tls.ConnectionState) error {
	if strings.HasPrefix(method, healthPrefix) {
		return nil
	}
	if peer == nil || len(peer.VerifiedChains) == 0 {
		return i.m.denied.call(reasonNoIdentity, unknown, i.service, method)
	}
	leaf := peer.PeerCertificates[0]
	id, err := i.m.known(leaf)
	if err != nil {
		var f *foreignError
		_ = errors.As(err, &f) // known has no other errors
		return i.m.denied.call(f.reason, unknown, i.service, method)
	}
	if i.m.c.Now().After(leaf.NotAfter) {
		return i.m.denied.call(reasonExpired, id.Service, i.service, method)
	}
	if !i.m.intentions.Load().Allows(id.Service, i.service) {
		return i.m.denied.call(reasonNoIntention, id.Service, i.service, method)
	}
	return nil
}

// noHandshake counts and tells of those who were refused before they could call. Who just went away isn't.
func (i *Identity) noHandshake(from net.Addr, err error) {
	var invalid x509.CertificateInvalidError
	var plain tls.RecordHeaderError
	var foreign *foreignError
	var bad *tls.CertificateVerificationError
	reason := ""
	switch {
	case errors.As(err, &plain):
		reason = reasonNoTLS
	case errors.As(err, &foreign):
		reason = foreign.reason
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		reason = reasonExpired
	case errors.As(err, &bad):
		reason = reasonUntrusted
	}
	if reason == "" {
		i.m.c.Log.Debug("no TLS handshake", "service", i.service, "from", from, "error", err)
		return
	}
	claims := ""
	if bad != nil && len(bad.UnverifiedCertificates) > 0 {
		if id, err := IDOf(bad.UnverifiedCertificates[0]); err == nil {
			claims = id.String()[:min(len(id.String()), maxClaim)]
			if domain := i.m.trust.Load().domain; reason == reasonUntrusted && id.TrustDomain != domain {
				reason = reasonTrustDomain
			}
		}
	}
	i.m.denied.connection(reason, i.service, from, claims, err)
}

// Certificate is the one that the identity has now.
func (i *Identity) Certificate() *x509.Certificate { return i.leaf.Load().Leaf }
