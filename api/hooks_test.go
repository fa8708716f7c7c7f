package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/hook"
	"github.com/cleavehq/cleave/chassis/kv"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// sender is who sends webhooks to two hooks of a gateway: erp, of Standard Webhooks, and old, of a plain HMAC.
type sender struct {
	t      *testing.T
	e      *edge
	secret hook.Secret
	plain  string
	got    chan *broker.Message
}

func senders(t *testing.T, b broker.Broker) *sender {
	t.Helper()
	s := &sender{t: t, secret: hook.NewSecret(), plain: strings.Repeat("secret", 4), got: make(chan *broker.Message, 100)}
	dir := t.TempDir()
	for name, text := range map[string]string{"erp": s.secret.Reveal(), "old": s.plain} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	document := func(v map[string]any) []byte {
		v["topic"] = "shop.catalog.v1.ProductChanged"
		d, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	hooks := kv.Static{
		"erp": document(map[string]any{"secrets": []string{"file:" + filepath.Join(dir, "erp")}}),
		"old": document(map[string]any{
			"secrets": []string{"file:" + filepath.Join(dir, "old")}, "scheme": "hmac-sha256", "key_field": "event.number", "ignore_unknown": true, "max_body": 500,
		}),
		"rare":  document(map[string]any{"secrets": []string{"file:" + filepath.Join(dir, "erp")}, "rate": map[string]any{"requests": 1, "per": "1h"}}),
		"unset": document(map[string]any{"secrets": []string{"env:CLEAVE_TEST_NO_SUCH_SECRET"}}),
		"wrong": []byte(`{"topic": "x", "secret": "in the clear"}`),
	}
	s.e = newsroom(t, b, func(c *api.Config) { c.Hooks = hooks })
	if j, ok := b.(*events.JetStream); ok && j.Address() != "" {
		if _, err := b.Subscribe("shop.catalog.v1.ProductChanged", func(e broker.Event) error {
			s.got <- e.Message()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	s.e.eventually("hooked", func() bool { return s.e.send(http.MethodPost, "/hooks/none", "").status == http.StatusNotFound })
	return s
}

// standard sends a webhook that is signed; change may spoil its headers.
func (s *sender) standard(to, id, body string, at time.Time, change func(map[string]string)) answer {
	s.t.Helper()
	h, err := hook.Headers(id, at, []byte(body), s.secret)
	if err != nil {
		s.t.Fatal(err)
	}
	if change != nil {
		change(h)
	}
	headers := []string{"Content-Type", "application/json"}
	for k, v := range h {
		headers = append(headers, k, v)
	}
	return s.e.send(http.MethodPost, "/hooks/"+to, body, headers...)
}

func (s *sender) old(body, prefix string) answer {
	mac := hmac.New(sha256.New, []byte(s.plain))
	_, _ = mac.Write([]byte(body))
	return s.e.send(http.MethodPost, "/hooks/old", body, "Content-Type", "application/json", "X-Signature-256", prefix+hex.EncodeToString(mac.Sum(nil)))
}

// body is a change of a product, with more in front of it.
func body(handle, more string) string {
	return `{` + more + `"product":{"handle":"` + handle + `","title":"A thing","variants":[{"sku":"A-1","price":{"currency":"EUR","minor":"100"}}]}}`
}

func eventOf(t *testing.T, a answer) string {
	t.Helper()
	var v struct{ EventID string }
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.status != http.StatusAccepted || v.EventID == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return v.EventID
}

// next is the event that comes next; none may be between.
func (s *sender) next(handle, id string) {
	s.t.Helper()
	select {
	case m := <-s.got:
		e := &catalogv1.ProductChanged{}
		if err := proto.Unmarshal(m.Body, e); err != nil || e.GetProduct().GetHandle() != handle || e.GetEventId() != id || m.Header[events.HeaderEventID] != id || m.Header["traceparent"] == "" {
			s.t.Errorf("got %v %v, not %s with id %s: %v", m.Header, e, handle, id, err)
		}
	case <-time.After(patience):
		s.t.Fatal("no event came")
	}
}

func TestAWebhookBecomesAnEvent(t *testing.T) {
	s := senders(t, store(t))
	first := eventOf(t, s.standard("erp", "msg_1", body("mug", ""), time.Now(), nil))
	again := eventOf(t, s.standard("erp", "msg_1", body("mug", ""), time.Now(), nil))
	second := eventOf(t, s.standard("erp", "msg_2", body("cup", ""), time.Now(), nil))
	if first != again || second == first {
		t.Errorf("ids %s, %s, %s", first, again, second)
	}
	s.next("mug", first)
	s.next("cup", second) // the repetition was dropped
	third := eventOf(t, s.old(body("pot", `"event":{"number":7},"more":1,`), "sha256="))
	if same := eventOf(t, s.old(body("pot", `"event":{"number":7},"more":2,`), "")); same != third {
		t.Errorf("the same number is another event: %s, %s", same, third)
	}
	s.next("pot", third)
	if m := s.e.scrape(); !strings.Contains(m, `gateway_hook_requests_total{hook="erp",result="ok"} 3`) {
		t.Error("the count of webhooks is wrong")
	}
}

func TestAWebhookIsRefused(t *testing.T) {
	s := senders(t, store(t))
	good := body("mug", "")
	spoilt := func(name, value string) func(map[string]string) { return func(h map[string]string) { h[name] = value } }
	for name, tc := range map[string]struct {
		got    answer
		status int
		reason string
	}{
		"no hook":         {s.standard("none", "1", good, time.Now(), nil), 404, "HOOK_NOT_FOUND"},
		"a wrong hook":    {s.standard("wrong", "1", good, time.Now(), nil), 404, "HOOK_NOT_FOUND"},
		"no signature":    {s.e.json(http.MethodPost, "/hooks/erp", good), 401, "WEBHOOK_SIGNATURE"},
		"another's":       {s.standard("erp", "1", good, time.Now(), spoilt("webhook-signature", "v1,AAAA")), 401, "WEBHOOK_SIGNATURE"},
		"another id":      {s.standard("erp", "1", good, time.Now(), spoilt("webhook-id", "2")), 401, "WEBHOOK_SIGNATURE"},
		"stale":           {s.standard("erp", "1", good, time.Now().Add(-time.Hour), nil), 401, "WEBHOOK_TIMESTAMP"},
		"no JSON":         {s.standard("erp", "1", "{", time.Now(), nil), 400, "BAD_JSON"},
		"unknown field":   {s.standard("erp", "1", `{"colour":1}`, time.Now(), nil), 400, "BAD_JSON"},
		"against a rule":  {s.standard("erp", "1", `{"product":{"handle":"mug"}}`, time.Now(), nil), 400, "INVALID_FIELDS"},
		"no key":          {s.old(body("pot", ""), ""), 400, "IDEMPOTENCY_KEY_MISSING"},
		"wrong hex":       {s.old(`{"event":{"number":7}}`, "00"), 401, "WEBHOOK_SIGNATURE"},
		"too large":       {s.old(`{"event":{"number":7},"x":"`+strings.Repeat("x", 600)+`"}`, ""), 413, "BODY_TOO_LARGE"},
		"media type":      {s.e.send(http.MethodPost, "/hooks/erp", good, "Content-Type", "text/plain"), 415, "UNSUPPORTED_MEDIA_TYPE"},
		"method":          {s.e.get("/hooks/erp"), 405, "METHOD_NOT_ALLOWED"},
		"a secret is not": {s.standard("unset", "1", good, time.Now(), nil), 503, "HOOK_UNAVAILABLE"},
	} {
		if tc.got.status != tc.status || tc.got.problem(t).Reason != tc.reason || strings.Contains(tc.got.body, "CLEAVE_TEST") {
			t.Errorf("%s: %d %s", name, tc.got.status, tc.got.body)
		}
	}
	eventOf(t, s.standard("rare", "1", good, time.Now(), nil))
	if a := s.standard("rare", "2", good, time.Now(), nil); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("too often: %d %s", a.status, a.body)
	}
}

// Without a broker nothing is taken, and the sender is told to come again.
func TestAWebhookWithoutABroker(t *testing.T) {
	b := store(t)
	if err := b.Disconnect(); err != nil {
		t.Fatal(err)
	}
	s := senders(t, b)
	a := s.standard("erp", "1", body("mug", ""), time.Now(), nil)
	if a.status != http.StatusServiceUnavailable || a.problem(t).Reason != "BROKER_UNAVAILABLE" || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	eventOf(t, s.standard("erp", "1", body("mug", ""), time.Now(), nil))
}

func TestWhatIsNoHook(t *testing.T) {
	const good = `{"topic": "a.B", "secrets": ["env:X"]}`
	if err := api.CheckHook("erp", []byte(good)); err != nil {
		t.Error(err)
	}
	if api.CheckHook("ERP", []byte(good)) == nil {
		t.Error("a name in capitals was taken")
	}
	for _, bad := range []string{
		``, `null`, `[]`, good + good, `{"topic": "a.B"}`, `{"topic": "a.B", "secrets": ["whsec_abc"]}`, `{"topic": "a.B", "secrets": ["file:relative"]}`,
		`{"topic": "a..B", "secrets": ["env:X"]}`, `{"topic": "a.*", "secrets": ["env:X"]}`, `{"topic": "a.B", "secrets": ["env:X"], "scheme": "md5"}`,
		`{"topic": "a.B", "secrets": ["env:X"], "header": "X-Sig"}`, `{"topic": "a.B", "secrets": ["env:X"], "key_field": "a..b"}`,
		`{"topic": "a.B", "secrets": ["env:X"], "max_body": 10000000}`, `{"topic": "a.B", "secrets": ["env:X"], "rate": {"requests": -1, "per": "1s"}}`,
		`{"topic": "a.B", "secrets": ["env:X"], "colour": 1}`,
	} {
		if err := api.CheckHook("erp", []byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		} else if strings.Contains(err.Error(), "whsec_abc") {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}
