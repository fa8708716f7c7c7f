package api_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/rpc"
)

// dialled is an HTTP/3 client of a gateway.
func dialled(t *testing.T) *http.Client {
	t.Helper()
	tr := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, QUICConfig: &quic.Config{}}
	t.Cleanup(func() { _ = tr.Close() })
	return &http.Client{Transport: tr, Timeout: patience}
}

// The same port over UDP serves what it serves over TCP: REST, Connect, streams, errors, and it tells of itself. It goes well.
func TestHTTP3(t *testing.T) {
	p := &parrot{hold: make(chan struct{})}
	made := httptest.NewTLSServer(http.NotFoundHandler()) // has a certificate
	cert := made.TLS.Certificates[0]
	made.Close()
	var shown atomic.Int32
	e := echoes(t, p, func(c *api.Config) {
		c.HTTP3, c.StreamGrace = true, 10*time.Millisecond
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			shown.Add(1)
			return &cert, nil
		}}
	})
	told := e.get("/readyz").header.Get("Alt-Svc")
	if port := e.base[strings.LastIndex(e.base, ":"):]; told != `h3="`+port+`"; ma=3600` {
		t.Errorf("Alt-Svc is %q", told)
	}
	before, c := shown.Load(), dialled(t)
	rsp, err := c.Get(e.base + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(rsp.Body)
	_ = rsp.Body.Close()
	if err != nil || rsp.ProtoMajor != 3 || rsp.StatusCode != http.StatusOK || string(b) != "ok\n" || rsp.TLS == nil || rsp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("HTTP/%d %d %q %v", rsp.ProtoMajor, rsp.StatusCode, b, err)
	}
	if shown.Load() == before {
		t.Error("the certificate was not asked for: a renewed one would not be taken")
	}
	if got, err := echoClient(c, e.base, "Say").CallUnary(t.Context(), connect.NewRequest(&text{Value: "x"})); err != nil || got.Msg.GetValue() != "x" {
		t.Errorf("Connect: %v %v", got, err)
	}
	over := http3Send(t, c, e.base+"/test.v1.Echo/Say", "Content-Type", "application/json", `"`+strings.Repeat("x", 5<<20)+`"`) //nolint:bodyclose // http3Send closes it
	if over.StatusCode != http.StatusTooManyRequests && over.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("5 MiB: %d", over.StatusCode)
	}
	if big := http3Send(t, c, e.base+"/readyz", "X-Padding", strings.Repeat("x", 70<<10), ""); big.StatusCode != http.StatusRequestHeaderFieldsTooLarge { //nolint:bodyclose // as above
		t.Errorf("70 KiB of headers: %d", big.StatusCode)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.base+"/v1/count/ab", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	if rsp, err = c.Do(req); err != nil {
		t.Fatal(err)
	}
	o := &opened{rsp, bufio.NewReader(rsp.Body), cancel}
	o.until(t, `data: "a"`)
	stopped := make(chan error, 1)
	go func() { stopped <- e.stop() }()
	o.until(t, "event: drain")
	_ = rsp.Body.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := c.Get(e.base + "/readyz"); err == nil { //nolint:bodyclose // there is none
		t.Error("it answers after its end")
	}
}

func http3Send(t *testing.T, c *http.Client, url, header, value, body string) *http.Response {
	t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(header, value)
	rsp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = rsp.Body.Close()
	return rsp
}

func TestHTTP3NeedsTLS(t *testing.T) {
	client, err := rpc.NewClient(rpc.ClientConfig{Registry: registry.NewMemoryRegistry(), Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if _, err := api.New(api.Config{HTTP3: true, Registry: registry.NewMemoryRegistry(), Client: client, Log: quiet()}); err == nil {
		t.Error("HTTP/3 without TLS was taken")
	}
}
