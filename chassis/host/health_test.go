package host

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/health"
)

// proxy is a way to a server that can be cut.
type proxy struct {
	ln  net.Listener
	to  string
	mu  sync.Mutex
	cut bool
	all []net.Conn
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, to: to}
	t.Cleanup(func() {
		_ = ln.Close()
		p.set(true)
	})
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.join(c)
		}
	}()
	return p
}

func (p *proxy) join(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		_ = c.Close()
		return
	}
	s, err := net.Dial("tcp", p.to)
	if err != nil {
		_ = c.Close()
		return
	}
	p.all = append(p.all, c, s)
	for _, pair := range [][2]net.Conn{{c, s}, {s, c}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			_ = pair[0].Close()
		}()
	}
}

// set cuts every connection, and takes none until it is set back.
func (p *proxy) set(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	if cut {
		for _, c := range p.all {
			_ = c.Close()
		}
		p.all = nil
	}
}

// A module whose PostgreSQL goes away is not ready, says so to Consul, and is ready again when it is back.
func TestADatabaseGoesAway(t *testing.T) {
	u, err := url.Parse(datatest.PostgresURL(t, "shelf"))
	if err != nil {
		t.Fatal(err)
	}
	way := newProxy(t, u.Host)
	u.Host = way.ln.Addr().String()
	c := config(t, module("shelf", nil))
	c.DataURL, c.Health, c.LeaveUnready = u.String(), &health.Process{}, true
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Shutdown(context.Background()) }()
	c.Health.Started()
	conn, err := grpc.NewClient(h.Addresses()["shelf"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	serving := func(service string) bool {
		rsp, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		return err == nil && rsp.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
	}
	state := func(want bool) func() bool {
		return func() bool {
			ready, _ := c.Health.Ready()
			return ready == want && serving("") == want && serving("shop.catalog.v1.Catalog") == want
		}
	}
	eventually(t, "it is ready", state(true))
	way.set(true)
	eventually(t, "it is not ready without its database", state(false))
	way.set(false)
	eventually(t, "it is ready again", state(true))
}
