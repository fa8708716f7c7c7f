package mesh_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cleavehq/cleave/chassis/mesh"
	"github.com/cleavehq/cleave/chassis/mesh/meshtest"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

const domain = "1.consul"

// shop answers GetProduct, and streams a product.
type shop struct{ catalogv1.CatalogHandler }

func (shop) GetProduct(_ context.Context, in *catalogv1.GetProductRequest, out *catalogv1.Product) error {
	out.Id = in.GetId()
	return nil
}

func (shop) ExportProducts(_ context.Context, _ *catalogv1.ExportProductsRequest, s catalogv1.Catalog_ExportProductsStream) error {
	return s.Send(&catalogv1.Product{})
}

// world is a catalogue with an identity.
type world struct {
	t       *testing.T
	a       *meshtest.Authority
	m       *mesh.Mesh
	reg     registry.Registry
	server  *rpc.Server
	metrics *prometheus.Registry
	log     *lines
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func begin(t *testing.T, ttl time.Duration) *world {
	t.Helper()
	w := &world{t: t, a: meshtest.New(t, domain, ttl), reg: registry.NewMemoryRegistry(), metrics: prometheus.NewRegistry(), log: &lines{}}
	w.a.Intend(mesh.Intention{Source: "order", Destination: "catalog", Allow: true}, mesh.Intention{Source: mesh.Any, Destination: mesh.Any})
	w.m = newMesh(t, mesh.Config{Source: w.a, Log: slog.New(slog.NewTextHandler(w.log, nil)), Metrics: w.metrics})
	conf := rpc.ServerConfig{
		Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: w.reg, Log: slog.New(slog.DiscardHandler), DrainWait: 1,
	}
	w.identity("catalog").Server(&conf)
	w.serve(conf)
	return w
}

// serve starts the catalogue.
func (w *world) serve(conf rpc.ServerConfig) {
	w.t.Helper()
	s, err := rpc.NewServer(conf)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := catalogv1.RegisterCatalogHandler(s, shop{}); err != nil {
		w.t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			w.t.Error(err)
		}
	})
	w.server = s
}

func newMesh(t *testing.T, c mesh.Config) *mesh.Mesh {
	t.Helper()
	m, err := mesh.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func (w *world) identity(name string) *mesh.Identity {
	w.t.Helper()
	i, err := w.m.Identity(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

func (w *world) open(c rpc.ClientConfig) *rpc.Client {
	w.t.Helper()
	c.Registry, c.Log = w.reg, slog.New(slog.DiscardHandler)
	cl, err := rpc.NewClient(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = cl.Close() })
	return cl
}

// as opens a client with the identity of a service.
func (w *world) as(name string, noLane bool) *rpc.Client {
	w.t.Helper()
	conf := rpc.ClientConfig{NoLane: noLane}
	i := w.identity(name)
	i.Client(&conf)
	c := w.open(conf)
	w.t.Cleanup(i.Renew(c))
	return c
}

func product() *catalogv1.GetProductRequest {
	return &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Id{Id: "01890a5d-ac96-774b-bcce-b302099a8057"}}
}

func call(ctx context.Context, c client.Client) error {
	_, err := catalogv1.NewCatalogService("catalog", c).GetProduct(ctx,
		product(), client.WithRequestTimeout(time.Minute))
	return err
}

func stream(ctx context.Context, c client.Client) error {
	s, err := catalogv1.NewCatalogService("catalog", c).ExportProducts(ctx, &catalogv1.ExportProductsRequest{})
	if err == nil {
		_, err = s.Recv()
	}
	return err
}

// seen waits until a refusal is in the metrics and in the log.
func (w *world) seen(reason, source string) {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		n, err := testutil.GatherAndCount(w.metrics, "mesh_denied_total")
		text := w.log.String()
		if err == nil && n > 0 && w.denied(reason, source) > 0 && strings.Contains(text, "reason="+reason) {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("no refusal %s of %s was noted:\n%s", reason, source, text)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (w *world) denied(reason, source string) (n float64) {
	w.t.Helper()
	all, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			is := map[string]string{}
			for _, l := range m.GetLabel() {
				is[l.GetName()] = l.GetValue()
			}
			if f.GetName() == "mesh_denied_total" && is["reason"] == reason && is["source"] == source && is["destination"] == "catalog" {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

func TestWhomAnIntentionAllowsIsServed(t *testing.T) {
	w := begin(t, time.Hour)
	for _, noLane := range []bool{false, true} {
		order, cart := w.as("order", noLane), w.as("cart", noLane)
		if err := call(t.Context(), order); err != nil {
			t.Error(err)
		}
		if err := stream(t.Context(), order); err != nil {
			t.Error(err)
		}
		before := w.denied("no_intention", "cart")
		for _, err := range []error{call(t.Context(), cart), stream(t.Context(), cart)} {
			if p := problem.From(err); err == nil || p.Code != codes.PermissionDenied || p.Reason != mesh.ReasonDenied {
				t.Errorf("lane %v: %v", !noLane, err)
			}
		}
		w.seen("no_intention", "cart")
		if n := w.denied("no_intention", "cart") - before; n != 2 {
			t.Errorf("%g refusals were counted", n)
		}
	}
	if n := strings.Count(w.log.String(), "a call was refused"); n != 1 {
		t.Errorf("it was logged %d times:\n%s", n, w.log)
	}
}

// A change of the intentions is in force for connections that are there.
func TestAnIntentionIsTakenBack(t *testing.T) {
	w := begin(t, time.Hour)
	c := w.as("order", false)
	if err := call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.a.Intend()
	for call(t.Context(), c) == nil {
		if t.Context().Err() != nil {
			t.Fatal("it is still served")
		}
	}
	w.seen("no_intention", "order")
}

func TestWhoShowsNoIdentityMayAskForHealthOnly(t *testing.T) {
	w := begin(t, time.Hour)
	c := w.open(rpc.ClientConfig{TLS: &tls.Config{InsecureSkipVerify: true}})
	for _, err := range []error{call(t.Context(), c), stream(t.Context(), c)} {
		if p := problem.From(err); err == nil || p.Code != codes.PermissionDenied {
			t.Errorf("without a certificate: %v", err)
		}
	}
	w.seen("no_identity", "unknown")
	// As Consul's check does it.
	health(t, w.server.Address(), credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}), true)
	health(t, w.server.Address(), insecure.NewCredentials(), false)
	w.seen("no_tls", "unknown")
}

func health(t *testing.T, address string, creds credentials.TransportCredentials, want bool) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	rsp, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if got := err == nil && rsp.GetStatus() == healthpb.HealthCheckResponse_SERVING; got != want {
		t.Errorf("health: %v, %v", rsp, err)
	}
}

// What is wrong with a certificate ends the handshake, and is told.
func TestAWrongCertificateIsRefused(t *testing.T) {
	hour := time.Hour
	now := time.Now()
	for _, noLane := range []bool{false, true} {
		for reason, certificate := range map[string]func(w *world) tls.Certificate{
			"expired": func(w *world) tls.Certificate {
				return w.a.Certificate(w.a.ID("order"), now.Add(-2*hour), now.Add(-hour))
			},
			"untrusted": func(w *world) tls.Certificate {
				return meshtest.New(t, domain, hour).Certificate(w.a.ID("order"), now.Add(-hour), now.Add(hour))
			},
			"trust_domain": func(*world) tls.Certificate {
				other := meshtest.New(t, "2.consul", hour)
				return other.Certificate(other.ID("order"), now.Add(-hour), now.Add(hour))
			},
			"bad_identity": func(w *world) tls.Certificate {
				return w.a.Certificate(mesh.ID{TrustDomain: domain, Service: "order"}, now.Add(-hour), now.Add(hour))
			},
		} {
			w := begin(t, hour)
			c := w.open(rpc.ClientConfig{NoLane: noLane, TLS: &tls.Config{Certificates: []tls.Certificate{certificate(w)}, InsecureSkipVerify: true}})
			if err := call(t.Context(), c); err == nil {
				t.Errorf("lane %v: %s was served", !noLane, reason)
			}
			w.seen(reason, "unknown")
		}
		// Signed by our own root, and of another domain.
		w := begin(t, hour)
		cert := w.a.Certificate(mesh.ID{TrustDomain: "2.consul", Datacenter: "test", Service: "order"}, now.Add(-hour), now.Add(hour))
		c := w.open(rpc.ClientConfig{NoLane: noLane, TLS: &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true}})
		if err := call(t.Context(), c); err == nil {
			t.Error("another trust domain was served")
		}
		w.seen("trust_domain", "unknown")
	}
}

// A connection is good for no longer than the certificate by which it was opened.
func TestAConnectionOfAnExpiredCertificateIsRefused(t *testing.T) {
	w := begin(t, time.Hour)
	cert := w.a.Certificate(w.a.ID("order"), time.Now().Add(-time.Hour), time.Now().Add(3*time.Second))
	c := w.open(rpc.ClientConfig{TLS: &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true}})
	if err := call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for call(t.Context(), c) == nil {
		select {
		case <-t.Context().Done():
			t.Fatal("it is still served")
		case <-time.After(10 * time.Millisecond):
		}
	}
	w.seen("expired", "order")
}

// Who isn't the service that is meant is not called, whatever the registry says.
func TestAnotherServiceIsNotCalled(t *testing.T) {
	w := begin(t, time.Hour)
	w.a.Intend(mesh.Intention{Source: mesh.Any, Destination: mesh.Any, Allow: true})
	services, err := w.reg.GetService("catalog")
	if err != nil {
		t.Fatal(err)
	}
	lie := *services[0]
	lie.Name = "payment"
	if err := w.reg.Register(&lie); err != nil {
		t.Fatal(err)
	}
	for _, noLane := range []bool{false, true} {
		_, err = catalogv1.NewCatalogService("payment", w.as("order", noLane)).GetProduct(t.Context(), product())
		if p := problem.From(err); err == nil || p.Code != codes.Unavailable {
			t.Errorf("it answers %v", err)
		}
	}
}

func TestIdentityNeedsItsSource(t *testing.T) {
	m := newMesh(t, mesh.Config{Source: silent{}, Log: slog.New(slog.DiscardHandler), Wait: 10 * time.Millisecond})
	if _, err := m.Identity(t.Context(), "catalog"); err == nil || !strings.Contains(err.Error(), "no certificate came for catalog") {
		t.Error(err)
	}
	if _, err := m.Identity(t.Context(), mesh.Any); err == nil {
		t.Error("* is somebody")
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Identity(t.Context(), "catalog"); err == nil {
		t.Error("it is closed")
	}
}

// silent is a source that is away.
type silent struct{}

func (silent) Leaf(ctx context.Context, _ string, _ func(tls.Certificate)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (silent) Roots(ctx context.Context, _ func(mesh.Roots)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (silent) Intentions(ctx context.Context, _ func(mesh.Intentions)) error {
	<-ctx.Done()
	return ctx.Err()
}
