package health

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestADependencyGoesDownAndComesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Process
		var broken, slow atomic.Bool
		var told []bool
		stop := p.Watch(Dependency{Name: "database", Of: "cart", Criticality: Critical, Changed: func(up bool) { told = append(told, up) }, Check: func(ctx context.Context) error {
			if slow.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			if broken.Load() {
				return errors.New("connection refused")
			}
			return nil
		}})
		var away atomic.Bool
		stopBroker := p.Watch(Dependency{Name: "broker", Criticality: Degrades, Check: func(context.Context) error {
			if away.Load() {
				return errors.New("no broker")
			}
			return nil
		}})
		state := func(want bool, status string) {
			t.Helper()
			synctest.Wait()
			if ok, r := p.Ready(); ok != want || r.Status != status {
				t.Errorf("ready %v, %+v; want %v, %s", ok, r, want, status)
			}
		}
		state(false, "down") // not started
		p.Started()
		state(true, "ok")

		slow.Store(true) // one slow look
		<-time.After(1500 * time.Millisecond)
		slow.Store(false)
		<-time.After(3 * time.Second)
		state(true, "ok")

		broken.Store(true)
		<-time.After(1500 * time.Millisecond)
		state(true, "ok") // not three times yet
		<-time.After(3 * time.Second)
		state(false, "down")
		w := httptest.NewRecorder()
		p.Readiness().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz/ready", nil))
		if w.Code != 503 || !strings.Contains(w.Body.String(), "connection refused") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		broken.Store(false)
		<-time.After(3 * time.Second)
		state(true, "ok")

		away.Store(true) // what isn't critical takes nothing out
		<-time.After(5 * time.Second)
		state(true, "degraded")
		if len(told) != 2 || told[0] || !told[1] {
			t.Errorf("was told %v", told)
		}
		stop()
		stopBroker()
		state(true, "ok")
	})
}

func TestPages(t *testing.T) {
	var p Process
	ask := func(page string) int {
		w := httptest.NewRecorder()
		switch page {
		case "live":
			p.Live().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		case "startup":
			p.Startup().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		default:
			p.Readiness().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		}
		return w.Code
	}
	if ask("live") != 200 || ask("startup") != 503 || ask("ready") != 503 {
		t.Error("before it has started")
	}
	p.Started()
	if ask("live") != 200 || ask("startup") != 200 || ask("ready") != 200 {
		t.Error("after it has started")
	}
}
