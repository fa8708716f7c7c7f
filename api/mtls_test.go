package api_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/metadata"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/kv"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// authority signs certificates of clients.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	made := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, a.key = made.Leaf, made.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// sign makes a certificate; the authority's own as long as there is none.
func (a *authority) sign(c *x509.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// A client is known by the certificate that it shows, over mutual TLS; without one it is nobody, and one that somebody else signed ends the handshake.
func TestAClientCertificate(t *testing.T) {
	mine, other := newAuthority(t), newAuthority(t)
	made := httptest.NewTLSServer(http.NotFoundHandler()) // has a certificate
	server := made.TLS.Certificates[0]
	made.Close()
	pool := x509.NewCertPool()
	pool.AddCert(mine.cert)
	var seen atomic.Pointer[metadata.Metadata]
	e := running(t, &shelf{get: func(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
		md, _ := metadata.FromContext(ctx)
		seen.Store(&md)
		return nil
	}}, func(c *api.Config) {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{server}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven}
		c.Overrides = kv.Static{"shop.catalog.v1.Catalog/GetProduct": []byte(`{"public": false}`)}
	})
	id := &url.URL{Scheme: "spiffe", Host: "shop.example", Path: "/warehouse"}
	for name, tc := range map[string]struct {
		show   []tls.Certificate
		status int // 0: no connection
	}{
		"none":             {nil, http.StatusUnauthorized},
		"the authority's":  {[]tls.Certificate{mine.sign(&x509.Certificate{URIs: []*url.URL{id}})}, http.StatusOK},
		"somebody else's":  {[]tls.Certificate{other.sign(&x509.Certificate{URIs: []*url.URL{id}})}, 0},
		"one with no name": {[]tls.Certificate{mine.sign(&x509.Certificate{})}, http.StatusUnauthorized},
	} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(tc.show) > 0 {
				return &tc.show[0], nil // whoever asks
			}
			return &tls.Certificate{}, nil
		}}}
		rsp, err := (&http.Client{Transport: tr, Timeout: patience}).Get(e.base + publicGet)
		status := 0
		if err == nil {
			status = rsp.StatusCode
			_, _ = io.Copy(io.Discard, rsp.Body)
			_ = rsp.Body.Close()
		}
		tr.CloseIdleConnections()
		if status != tc.status {
			t.Errorf("%s: %d %v, want %d", name, status, err, tc.status)
		}
	}
	md := seen.Load()
	if md == nil {
		t.Fatal("the service was not called")
	}
	told := map[string]string{}
	for k, v := range *md {
		told[strings.ToLower(k)] = v
	}
	if told["cleave-caller-kind"] != "certificate" || told["cleave-caller-subject"] != url.QueryEscape(id.String()) {
		t.Errorf("the service was told %v", told)
	}
}
