package webhook_test

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/hook"
	webhookv1 "github.com/cleavehq/cleave/proto/shop/webhook/v1"
	"github.com/cleavehq/cleave/services/webhook"
)

func secrets(t *testing.T, texts ...string) []hook.Secret {
	t.Helper()
	var out []hook.Secret
	for _, text := range texts {
		s, err := hook.ParseSecret(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// An endpoint that takes its time has four of its own on their way, and no other waits for it.
func testASlowEndpoint(t *testing.T, w *world) {
	var now, most atomic.Int64
	free := make(chan struct{})
	release := sync.OnceFunc(func() { close(free) })
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-free:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(release)
	slowID, _ := w.endpoint(t, slow.URL)
	quick := receive(t)
	quickID, _ := w.endpoint(t, quick.url)
	var sent []string
	for range 12 {
		sent = append(sent, w.paid(t))
	}
	for _, event := range sent {
		w.delivery(t, quickID, event, is(delivered))
	}
	until(t, func() bool { return now.Load() == webhook.PerEndpoint }, func() string { return "less busy" })
	release()
	for _, event := range sent {
		w.delivery(t, slowID, event, is(delivered))
	}
	if most.Load() != webhook.PerEndpoint || len(quick.posts) != len(sent) {
		t.Errorf("%d at once; the quick one got %d of %d", most.Load(), len(quick.posts), len(sent))
	}
}

// Whatever goes wrong is told by one word, and none of the receiver's.
func testWhatFails(t *testing.T, w *world) {
	r := receive(t)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	r.status.Store(http.StatusMovedPermanently)
	want := map[string]string{r.url: "STATUS", silent.URL: "TIMEOUT", nobody: "UNREACHABLE", strings.Replace(r.url, "127.0.0.1", "0x7f.1", 1): ""}
	ids := map[string]string{}
	for url := range want {
		ids[url], _ = w.endpoint(t, url)
	}
	event := w.paid(t)
	for url, why := range want {
		d := w.delivery(t, ids[url], event, func(d *webhookv1.Delivery) bool { return d.GetAttempts() == 1 })
		if d.GetState() != pending || why != "" && d.GetError() != why || strings.Contains(d.String(), "words") {
			t.Errorf("%s: %v", url, d)
		}
	}
	if len(r.posts) > 2 {
		t.Error("a redirect was followed")
	}
	if strings.Contains(w.log.String(), "the receiver's words") {
		t.Error("the receiver writes our log")
	}
}

// Planted in the only two answers that may show them, they are nowhere else.
func testNothingSecretIsShown(t *testing.T, w *world) {
	ctx, r := t.Context(), receive(t)
	r.status.Store(http.StatusInternalServerError)
	id, one := w.endpoint(t, r.url)
	rotated, err := w.RotateSecret(ctx, &webhookv1.RotateSecretRequest{EndpointId: id})
	if err != nil {
		t.Fatal(err)
	}
	event := w.paid(t)
	w.delivery(t, id, event, func(d *webhookv1.Delivery) bool { return d.GetAttempts() == 1 })
	p := r.next(t)
	e, err := w.GetEndpoint(ctx, &webhookv1.GetEndpointRequest{EndpointId: id})
	if err != nil {
		t.Fatal(err)
	}
	list, err := w.ListEndpoints(ctx, &webhookv1.ListEndpointsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.ListDeliveries(ctx, &webhookv1.ListDeliveriesRequest{EndpointId: id})
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.Join([]string{w.log.String(), e.String(), list.String(), all.String(), string(p.body), p.signature}, "\n")
	for _, s := range append(secrets(t, rotated.GetSecret()), one) {
		text := strings.TrimPrefix(s.Reveal(), "whsec_")
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(shown, text) || strings.Contains(shown, string(raw)) {
			t.Error("a secret is shown")
		}
	}
	if strings.Contains(w.log.String(), p.signature) || strings.Contains(w.log.String(), "ada@example.com") {
		t.Error("what is sent is in the log")
	}
}

// Unless the operator allows it, no name leads into our own network.
func TestANameThatLeadsHome(t *testing.T) {
	w := open(t, "")
	w.stop()
	w.start(t, webhook.Config{})
	called := false
	home := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	t.Cleanup(home.Close)
	at := netip.MustParseAddrPort(strings.TrimPrefix(home.URL, "https://"))
	id, _ := w.endpoint(t, "https://localhost:"+strings.TrimPrefix(at.String(), "127.0.0.1:"))
	d := w.delivery(t, id, w.paid(t), func(d *webhookv1.Delivery) bool { return d.GetAttempts() == 1 })
	if d.GetError() != "ADDRESS_FORBIDDEN" || called {
		t.Errorf("%v; called: %v", d, called)
	}
}

// Two processes share the work, and post each event once; one takes over when the other stops in the middle, and posts what it had begun again.
func TestTwoProcesses(t *testing.T) {
	w := open(t, datatest.PostgresURL(t, "webhook"))
	first := w.stop
	allow := webhook.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	w.start(t, allow)
	r := receive(t)
	id, _ := w.endpoint(t, r.url)
	var sent []string
	for range 20 {
		sent = append(sent, w.paid(t))
	}
	got := map[string]int{}
	for range sent {
		got[r.next(t).id]++
	}
	for _, event := range sent {
		w.delivery(t, id, event, is(delivered))
		if got[event] != 1 {
			t.Errorf("posted %d times", got[event])
		}
	}

	var calls atomic.Int64
	begun := make(chan string, 10)
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		begun <- r.Header.Get(hook.HeaderID)
		if calls.Add(1) == 1 {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(stuck.Close)
	stuckID, _ := w.endpoint(t, stuck.URL)
	event := w.paid(t)
	if id := <-begun; id != event {
		t.Fatalf("posted %s", id)
	}
	first()
	d := w.delivery(t, stuckID, event, is(delivered))
	select {
	case again := <-begun:
		if again != event || d.GetAttempts() != 1 {
			t.Errorf("posted %s, and %v", again, d)
		}
	case <-time.After(patience):
		t.Error("not posted again")
	}
}
