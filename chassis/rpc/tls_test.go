package rpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/transport"
	"google.golang.org/grpc/codes"

	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// authority signs certificates for 127.0.0.1.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority() *authority {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	now := time.Now()
	like := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the root"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	cert := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, like, like, &key.PublicKey, key))))
	a := &authority{cert, key, x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// certificate of one who is called name.
func (a *authority) certificate(name string) tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	like := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der := must(x509.CreateCertificate(rand.Reader, like, a.cert, &key.PublicKey, a.key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// server asks clients for a certificate.
func (a *authority) server(name string) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{a.certificate(name)}, ClientCAs: a.pool, ClientAuth: tls.VerifyClientCertIfGiven, MinVersion: tls.VersionTLS13,
	}
}

func (a *authority) client(name string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.certificate(name)}, RootCAs: a.pool, MinVersion: tls.VersionTLS13}
}

func commonNames(chain []*x509.Certificate) (out []string) {
	for _, c := range chain {
		out = append(out, c.Subject.CommonName)
	}
	return out
}

func TestAHandlerKnowsWhoCalls(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		var who, stream []string
		c, _ := w.open(t, &shop{get: func(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
			who = commonNames(PeerChain(ctx))
			return nil
		}, export: func(ctx context.Context, _ *catalogv1.ExportProductsRequest, _ catalogv1.Catalog_ExportProductsStream) error {
			stream = commonNames(PeerChain(ctx))
			return nil
		}})
		if err := get(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		st, err := catalogv1.NewCatalogService("catalog", c).ExportProducts(t.Context(), &catalogv1.ExportProductsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = st.Recv()
		want := []string(nil)
		if w.tls {
			want = []string{"a caller", "the root"}
		}
		for _, got := range [][]string{who, stream} {
			if len(got) != len(want) || len(want) > 0 && (got[0] != want[0] || got[1] != want[1]) {
				t.Errorf("it was called by %q, want %q", got, want)
			}
		}
	})
}

// secure starts a catalogue with TLS.
func secure(t *testing.T, conf *tls.Config, lane bool) (registry.Registry, *Server) {
	t.Helper()
	reg := registry.NewMemoryRegistry()
	return reg, startServer(t, ServerConfig{
		Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), DrainWait: 1, NoLane: !lane, TLS: conf,
	}, &shop{})
}

func TestWhoIsNotTrustedIsNotCalled(t *testing.T) {
	a, other := newAuthority(), newAuthority()
	required := a.server("catalog")
	required.ClientAuth = tls.RequireAndVerifyClientCert
	for _, lane := range []bool{true, false} {
		reg, s := secure(t, required, lane)
		for name, c := range map[string]struct {
			conf ClientConfig
			opts []client.CallOption
			ok   bool
		}{
			"who is trusted":               {ClientConfig{TLS: a.client("x")}, nil, true},
			"at an address":                {ClientConfig{TLS: a.client("x"), TLSOnly: true}, []client.CallOption{client.WithAddress(s.Address())}, true},
			"at an address, without":       {ClientConfig{TLS: a.client("x")}, []client.CallOption{client.WithAddress(s.Address())}, false},
			"without TLS":                  {ClientConfig{}, nil, false},
			"a client of another root":     {ClientConfig{TLS: other.client("x")}, nil, false},
			"a client with no certificate": {ClientConfig{TLS: &tls.Config{RootCAs: a.pool}}, nil, false},
			"what the service's own check finds": {ClientConfig{TLS: a.client("x"), VerifyPeer: func(service string, state tls.ConnectionState) error {
				if service == "catalog" && state.PeerCertificates[0].Subject.CommonName == "catalog" {
					return nil
				}
				return errors.New("not it")
			}}, nil, true},
			"what it doesn't": {ClientConfig{TLS: a.client("x"), VerifyPeer: func(string, tls.ConnectionState) error { return errors.New("not it") }}, nil, false},
		} {
			c.conf.Registry, c.conf.Log = reg, quiet()
			err := get(t.Context(), newClient(t, c.conf), append(c.opts, client.WithRequestTimeout(time.Minute))...)
			if c.ok && err != nil {
				t.Errorf("lane %v, %s: %v", lane, name, err)
			} else if !c.ok {
				wantProblem(t, err, codes.Unavailable, ReasonUnreachable)
			}
		}
	}
}

func TestTLSOnlyRefusesAPlainInstance(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	h := &shop{}
	serve(t, reg, "plain", h)
	c := newClient(t, ClientConfig{Registry: reg, Log: quiet(), TLS: newAuthority().client("x"), TLSOnly: true})
	wantProblem(t, get(t.Context(), c), codes.Unavailable, ReasonUnreachable)
	if h.calls.Load() != 0 {
		t.Error("it was called")
	}
	if _, err := NewClient(ClientConfig{Registry: reg, Log: quiet(), TLSOnly: true}); err == nil {
		t.Error("a client was made that has to have TLS and has none")
	}
}

// A new certificate is used from the next connection on; those that are open stay.
func TestCertificatesRotate(t *testing.T) {
	a := newAuthority()
	var now atomic.Pointer[tls.Certificate]
	first, second := a.certificate("first"), a.certificate("second")
	now.Store(&first)
	reg, _ := secure(t, &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{*now.Load()}, ClientCAs: a.pool}, nil
		},
	}, true)
	seen := func() (who string) {
		c := newClient(t, ClientConfig{Registry: reg, Log: quiet(), TLS: a.client("x"), VerifyPeer: func(_ string, state tls.ConnectionState) error {
			who = state.PeerCertificates[0].Subject.CommonName
			return nil
		}})
		if err := get(t.Context(), c, client.WithRequestTimeout(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if onlyPeer(t, c).lanes.client.Load() == nil {
			t.Error("it wasn't over the lane")
		}
		return who
	}
	if who := seen(); who != "first" {
		t.Errorf("it was %q", who)
	}
	now.Store(&second)
	if who := seen(); who != "second" {
		t.Errorf("after the rotation it was %q", who)
	}
}

// go-micro's own client reaches a TLS port too, when its transport has TLS.
func TestGoMicrosOwnRPCOverTLS(t *testing.T) {
	a := newAuthority()
	reg, _ := secure(t, a.server("catalog"), true)
	c := client.NewClient(client.Registry(reg), client.Retries(0), client.RequestTimeout(time.Minute),
		client.Transport(transport.NewHTTPTransport(transport.TLSConfig(a.client("x")))), client.ContentType("application/protobuf"))
	out := &catalogv1.Product{}
	if err := c.Call(t.Context(), c.NewRequest("catalog", "Catalog.GetProduct", product(anID)), out); err != nil || out.GetId() != anID {
		t.Errorf("got %v, %v", out, err)
	}
}
