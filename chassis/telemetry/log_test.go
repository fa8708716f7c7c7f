package telemetry_test

import (
	"bufio"
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/chassis/telemetry"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
)

func newLog(t *testing.T, format string) (*slog.Logger, *bytes.Buffer, *telemetry.Levels, *telemetry.LogRing) {
	t.Helper()
	var out bytes.Buffer
	levels, ring := telemetry.NewLevels(slog.LevelInfo), &telemetry.LogRing{}
	log, err := telemetry.NewLog(telemetry.LogConfig{Writer: &out, Format: format, Levels: levels, Ring: ring})
	if err != nil {
		t.Fatal(err)
	}
	return log, &out, levels, ring
}

func TestLevelsOfModules(t *testing.T) {
	log, out, levels, _ := newLog(t, "json")
	order, payment := log.With("module", "order"), log.With("module", "payment")
	put := func(body string, want int) {
		rec := httptest.NewRecorder()
		levels.ServeHTTP(rec, httptest.NewRequest(http.MethodPut, "/log-level", strings.NewReader(body)))
		if rec.Code != want {
			t.Errorf("%s: %d %s", body, rec.Code, rec.Body)
		}
	}
	put(`{"module":"order","level":"debug"}`, 200)
	order.Debug("one")
	payment.Debug("no")
	put(`{"module":"order","level":""}`, 200)
	order.Debug("no")
	put(`{"module":"","level":"error"}`, 200)
	payment.Warn("no")
	put(`{"level":"loud"}`, 400)
	put(`{"lvl":"debug"}`, 400)
	put(`{"module":"`+strings.Repeat("x", 65)+`","level":"debug"}`, 400)
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "one") {
		t.Errorf("logged %s", got)
	}
}

func TestLevelsAreReplacedTogether(t *testing.T) {
	l := telemetry.NewLevels(slog.LevelInfo)
	if err := errors.Join(l.Set("order", slog.LevelDebug), l.Replace(slog.LevelWarn, map[string]slog.Level{"cart": slog.LevelError})); err != nil {
		t.Fatal(err)
	}
	if l.Of("order") != slog.LevelWarn || l.Of("cart") != slog.LevelError || l.Of("") != slog.LevelWarn {
		t.Errorf("order %v, cart %v, all %v", l.Of("order"), l.Of("cart"), l.Of(""))
	}
	if err := l.Replace(slog.LevelInfo, map[string]slog.Level{strings.Repeat("x", 65): slog.LevelInfo}); err == nil || l.Of("cart") != slog.LevelError {
		t.Errorf("%v, and cart is at %v", err, l.Of("cart"))
	}
}

func TestRingOfLines(t *testing.T) {
	log, _, _, ring := newLog(t, "text")
	for range 3000 {
		log.With("module", "order").Info("a line")
	}
	log.With("module", "payment").Warn("the last", "long", strings.Repeat("x", 100))
	log.Info(strings.Repeat("y", 20<<10)) //nolint:sloglint // a line that is long
	page := func(query string) string {
		rec := httptest.NewRecorder()
		ring.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/logs"+query, nil))
		return rec.Body.String()
	}
	if n := strings.Count(page("?limit=2000"), "\n"); n != 2000 {
		t.Errorf("%d lines are kept, want 2000", n)
	}
	if got := page("?module=payment&level=warn"); strings.Count(got, "\n") != 1 || !strings.Contains(got, "the last") {
		t.Errorf("of payment: %s", got)
	}
	if got := page("?limit=1"); !strings.Contains(got, "is not kept here") {
		t.Errorf("a line that is too long became %.100s", got)
	}
}

func TestLinesAreFollowed(t *testing.T) {
	log, _, _, ring := newLog(t, "json")
	log.Info("before")
	s := httptest.NewServer(ring)
	t.Cleanup(s.Close)
	rsp, err := http.Get(s.URL + "/?follow=1&module=order")
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	log.With("module", "payment").Info("other")
	log.With("module", "order").Info("comes")
	line, err := bufio.NewReader(rsp.Body).ReadString('\n')
	if err != nil || !strings.Contains(line, "comes") {
		t.Errorf("got %q, %v", line, err)
	}
}

// A message of the shop is logged without what its contract hides, in either format, in the ring, and by any logger.
func TestSecretsOfMessagesAreHidden(t *testing.T) {
	const canary = "canary-7f3a"
	order := &orderv1.CreateOrderRequest{PaymentToken: canary, CartId: "seen"}
	login := &customerv1.LoginRequest{Password: canary}
	for _, format := range []string{"text", "json"} {
		log, out, _, ring := newLog(t, format)
		log.Info("got", "order", order, "login", login, slog.Group("in", "order", order))
		rec := httptest.NewRecorder()
		ring.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/logs", nil))
		all := out.String() + rec.Body.String()
		if strings.Contains(all, canary) || !strings.Contains(all, "REDACTED") || !strings.Contains(all, "seen") {
			t.Errorf("%s: %s", format, all)
		}
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("got", "order", telemetry.Message{M: order})
	if strings.Contains(out.String(), canary) || !strings.Contains(out.String(), "seen") {
		t.Errorf("another logger: %s", out.String())
	}
	if order.GetPaymentToken() != canary {
		t.Error("the message itself was changed")
	}
}
