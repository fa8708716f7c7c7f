// Package meshtest is an authority for tests of package mesh: a Source whose certificates, roots and intentions a test changes when it likes.
package meshtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/cleavehq/cleave/chassis/mesh"
)

// Authority signs certificates. It is safe for concurrent use.
type Authority struct {
	t      testing.TB
	domain string
	ttl    time.Duration

	mu         sync.Mutex
	root       *x509.Certificate
	key        *ecdsa.PrivateKey
	between    []byte // the root, signed by the one before it; nil for the first
	trusted    []*x509.Certificate
	serial     int64
	intentions mesh.Intentions
	changed    chan struct{} // closed at each change
}

var _ mesh.Source = (*Authority)(nil)

// New makes an authority of a trust domain, whose certificates hold for ttl. Its intentions allow nothing.
func New(t testing.TB, domain string, ttl time.Duration) *Authority {
	t.Helper()
	a := &Authority{t: t, domain: domain, ttl: ttl, changed: make(chan struct{})}
	a.Rotate()
	return a
}

// Rotate replaces the root. The new one is signed by the old one too, which stays trusted, as Consul does it: who hasn't heard of the new one
// can follow. The last four are trusted.
func (a *Authority) Rotate() {
	a.mu.Lock()
	defer a.mu.Unlock()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	a.serial++
	like := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: "root " + big.NewInt(a.serial).String()}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, like, like, &key.PublicKey, key)
	a.must(err)
	root, err := x509.ParseCertificate(der)
	a.must(err)
	if a.root != nil {
		a.between, err = x509.CreateCertificate(rand.Reader, like, a.root, &key.PublicKey, a.key)
		a.must(err)
	}
	a.root, a.key = root, key
	a.trusted = append(a.trusted, root)
	a.trusted = a.trusted[max(0, len(a.trusted)-4):]
	a.tell()
}

// Reissue makes every service get a new certificate.
func (a *Authority) Reissue() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tell()
}

// Intend replaces the intentions. What none is about is denied.
func (a *Authority) Intend(list ...mesh.Intention) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.intentions = mesh.NewIntentions(list, false)
	a.tell()
}

func (a *Authority) must(err error) {
	if err != nil {
		a.t.Error(err)
	}
}

func (a *Authority) tell() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// Certificate signs a certificate of any identity that holds from one time to another.
func (a *Authority) Certificate(id mesh.ID, from, until time.Time) tls.Certificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	a.serial++
	like := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), NotBefore: from, NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	like.URIs = append(like.URIs, id.URL())
	der, err := x509.CreateCertificate(rand.Reader, like, a.root, &key.PublicKey, a.key)
	a.must(err)
	out := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	if a.between != nil {
		out.Certificate = append(out.Certificate, a.between)
	}
	return out
}

// ID of a service of this trust domain.
func (a *Authority) ID(service string) mesh.ID {
	return mesh.ID{TrustDomain: a.domain, Datacenter: "test", Service: service}
}

// Pool are the roots that are trusted.
func (a *Authority) Pool() *x509.CertPool {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := x509.NewCertPool()
	for _, c := range a.trusted {
		p.AddCert(c)
	}
	return p
}

// Leaf implements mesh.Source.
func (a *Authority) Leaf(ctx context.Context, service string, fn func(tls.Certificate)) error {
	return a.follow(ctx, func() { fn(a.Certificate(a.ID(service), time.Now().Add(-time.Minute), time.Now().Add(a.ttl))) })
}

// Roots implements mesh.Source.
func (a *Authority) Roots(ctx context.Context, fn func(mesh.Roots)) error {
	return a.follow(ctx, func() {
		a.mu.Lock()
		r := mesh.Roots{TrustDomain: a.domain, Certs: append([]*x509.Certificate{}, a.trusted...)}
		a.mu.Unlock()
		fn(r)
	})
}

// Intentions implements mesh.Source.
func (a *Authority) Intentions(ctx context.Context, fn func(mesh.Intentions)) error {
	return a.follow(ctx, func() {
		a.mu.Lock()
		in := a.intentions
		a.mu.Unlock()
		fn(in)
	})
}

func (a *Authority) follow(ctx context.Context, tell func()) error {
	for {
		a.mu.Lock()
		changed := a.changed
		a.mu.Unlock()
		tell()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
