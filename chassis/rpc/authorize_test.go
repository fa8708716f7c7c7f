package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v4/client"
	microerrors "go-micro.dev/v4/errors"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/transport"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// gated starts a catalogue that authorizes nobody while shut is true; asked gets the methods.
func gated(t *testing.T, a *authority, shut *atomic.Bool, asked func(string, *tls.ConnectionState)) registry.Registry {
	t.Helper()
	reg := registry.NewMemoryRegistry()
	startServer(t, ServerConfig{
		Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), DrainWait: 1, TLS: a.server("catalog"),
		Authorize: func(method string, peer *tls.ConnectionState) error {
			asked(method, peer)
			if shut.Load() {
				return problem.PermissionDenied("NOT_YOU", "not you")
			}
			return nil
		},
	}, &shop{})
	return reg
}

func TestWhoIsNotAuthorizedIsRefused(t *testing.T) {
	a := newAuthority()
	for _, lane := range []bool{true, false} {
		var shut atomic.Bool
		reg := gated(t, a, &shut, func(method string, peer *tls.ConnectionState) {
			if !strings.HasPrefix(method, "/shop.catalog.v1.Catalog/") || peer == nil || peer.PeerCertificates[0].Subject.CommonName != "x" {
				t.Errorf("asked for %q of %v", method, peer)
			}
		})
		c := newClient(t, ClientConfig{Registry: reg, Log: quiet(), TLS: a.client("x"), NoLane: !lane})
		long := client.WithRequestTimeout(time.Minute)
		if err := get(t.Context(), c, long); err != nil {
			t.Fatal(err)
		}
		shut.Store(true)
		err := get(t.Context(), c, long)
		if p := problem.From(err); err == nil || p.Code != codes.PermissionDenied || p.Reason != "NOT_YOU" {
			t.Errorf("lane %v: %v", lane, err)
		}
		st, err := catalogv1.NewCatalogService("catalog", c).ExportProducts(t.Context(), &catalogv1.ExportProductsRequest{})
		if err == nil {
			_, err = st.Recv()
		}
		if p := problem.From(err); err == nil || p.Code != codes.PermissionDenied {
			t.Errorf("lane %v, a stream: %v", lane, err)
		}
		shut.Store(false)
		if err := get(t.Context(), c, long); err != nil {
			t.Error(err)
		}
	}
}

func TestWhoIsNotAuthorizedIsRefusedOverGoMicrosOwnRPC(t *testing.T) {
	a := newAuthority()
	var shut atomic.Bool
	reg := gated(t, a, &shut, func(method string, peer *tls.ConnectionState) {
		if method != "" || peer == nil {
			t.Errorf("asked for %q of %v", method, peer)
		}
	})
	c := client.NewClient(client.Registry(reg), client.Retries(0), client.RequestTimeout(time.Minute),
		client.Transport(transport.NewHTTPTransport(transport.TLSConfig(a.client("x")))), client.ContentType("application/protobuf"))
	call := func() error {
		return c.Call(t.Context(), c.NewRequest("catalog", "Catalog.GetProduct", product(anID)), &catalogv1.Product{})
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	shut.Store(true)
	err := call()
	if err == nil {
		t.Fatal("it was served")
	}
	if p := problem.From(microerrors.Parse(err.Error())); p.Code != codes.PermissionDenied || p.Reason != "NOT_YOU" {
		t.Errorf("it answers %v", p)
	}
}

// Over gRPC the answer comes when the headers have come: of the request not a byte was sent.
func TestGRPCIsRefusedBeforeTheRequest(t *testing.T) {
	a := newAuthority()
	var shut atomic.Bool
	shut.Store(true)
	reg := gated(t, a, &shut, func(string, *tls.ConnectionState) {})
	c := newClient(t, ClientConfig{Registry: reg, Log: quiet(), TLS: a.client("x"), NoLane: true})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	st, err := c.Stream(ctx, c.NewRequest("catalog", "Catalog.ExportProducts", &catalogv1.ExportProductsRequest{}, client.StreamingRequest()))
	if err == nil {
		err = st.Recv(&catalogv1.Product{})
	}
	if p := problem.From(err); err == nil || p.Code != codes.PermissionDenied {
		t.Errorf("it answers %v", err)
	}
}

// A stream may be refused before its request has been sent: Send says nothing of it, and Recv says why.
func TestRecvSaysWhyAStreamIsRefused(t *testing.T) {
	a := newAuthority()
	for _, lane := range []bool{true, false} {
		var shut atomic.Bool
		shut.Store(true)
		reg := gated(t, a, &shut, func(string, *tls.ConnectionState) {})
		c := newClient(t, ClientConfig{Registry: reg, Log: quiet(), TLS: a.client("x"), NoLane: !lane})
		st, err := c.Stream(t.Context(), c.NewRequest("catalog", "Catalog.ExportProducts", &catalogv1.ExportProductsRequest{}, client.StreamingRequest()))
		if err != nil {
			t.Fatal(err)
		}
		var wire interface{ SendMsg(m any) error }
		switch s := st.(type) {
		case *laneStream:
			wire = s.wire
		case *clientStream:
			wire = s.grpc
		}
		eventually(t, "it is refused", func() bool { return errors.Is(wire.SendMsg(&catalogv1.ExportProductsRequest{}), io.EOF) })
		if err := st.Send(&catalogv1.ExportProductsRequest{}); err != nil {
			t.Errorf("lane %v: Send says %v", lane, err)
		}
		err = st.Recv(&catalogv1.Product{})
		if p := problem.From(err); err == nil || p.Code != codes.PermissionDenied || p.Reason != "NOT_YOU" {
			t.Errorf("lane %v: Recv says %v", lane, err)
		}
	}
}

func TestAHandshakeThatFailsIsTold(t *testing.T) {
	a, other := newAuthority(), newAuthority()
	told := make(chan error, 10)
	reg := registry.NewMemoryRegistry()
	startServer(t, ServerConfig{
		Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: quiet(), DrainWait: 1, TLS: a.server("catalog"),
		NoHandshake: func(_ net.Addr, err error) { told <- err },
	}, &shop{})
	conf := other.client("x")
	conf.RootCAs = a.pool
	if err := get(t.Context(), newClient(t, ClientConfig{Registry: reg, Log: quiet(), TLS: conf})); err == nil {
		t.Fatal("a stranger was served")
	}
	var bad *tls.CertificateVerificationError
	if err := <-told; !errors.As(err, &bad) {
		t.Errorf("told of %v", err)
	}
}

// A client that renews its connections shows its new certificate; what runs goes on, and what is done with is closed.
func TestRenew(t *testing.T) {
	each(t, func(t *testing.T, w way) {
		begun, end := make(chan struct{}, 1), make(chan struct{})
		c, _ := w.open(t, &shop{export: func(_ context.Context, _ *catalogv1.ExportProductsRequest, s catalogv1.Catalog_ExportProductsStream) error {
			if err := s.Send(&catalogv1.Product{Id: anID}); err != nil {
				return err
			}
			begun <- struct{}{}
			<-end
			return s.Send(&catalogv1.Product{Id: anID})
		}})
		st, err := catalogv1.NewCatalogService("catalog", c).ExportProducts(t.Context(), &catalogv1.ExportProductsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		<-begun
		c.mu.Lock()
		var before []*peer
		for _, p := range c.peers {
			before = append(before, p)
		}
		c.mu.Unlock()
		c.Renew()
		c.Renew()
		if err := get(t.Context(), c); err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		for _, p := range c.peers {
			for _, old := range before {
				if p == old {
					t.Error("the old connection is still in use")
				}
			}
		}
		c.mu.Unlock()
		close(end)
		for range 2 {
			if _, err := st.Recv(); err != nil {
				t.Error(err)
			}
		}
		if _, err := st.Recv(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		for _, p := range before {
			for !p.unused() {
				if t.Context().Err() != nil {
					t.Fatal("it is never let go of")
				}
				<-time.After(time.Millisecond)
			}
		}
	})
}
