// Package live changes the settings of running processes while they are under load.
package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

var binary harness.Bin //nolint:gochecknoglobals // built once for the package

func TestMain(m *testing.M) {
	code := m.Run()
	binary.Remove()
	os.Exit(code)
}

// full says that the long form is wanted: CLEAVE_PROVE_RESILIENCE=full.
func full() bool { return os.Getenv("CLEAVE_PROVE_RESILIENCE") == "full" }

// world is a shop over Consul: a host with every module, another one with the catalogue, and three gateways.
type world struct {
	*harness.System
	t        *testing.T
	gateways []string // URLs
	admins   []string // addresses of every process's own listener
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{System: harness.Split(t, binary.Build(t), harness.StartConsul(t)), t: t}
	w.gateways = []string{w.Base}
	for range 2 {
		addr := harness.FreeAddr(t)
		w.Start("gateway", "--listen", addr)
		w.gateways = append(w.gateways, "http://"+addr)
	}
	port, err := os.ReadFile(filepath.Join(w.DataDir(), "nats.port"))
	if err != nil {
		t.Fatal(err)
	}
	w.Start("run", "--modules", "catalog", "--host", "second", "--broker", "nats://127.0.0.1:"+strings.TrimSpace(string(port)))
	harness.Eventually(t, time.Minute, "every process is in the registry", func() bool {
		w.admins = nil
		for _, name := range []string{"gateway", "catalog"} {
			for _, i := range w.Consul.Instances(name) {
				w.admins = append(w.admins, i.Service.Meta["admin"])
			}
		}
		return len(w.admins) == 5 && !slices.Contains(w.admins, "")
	})
	for _, base := range w.gateways {
		harness.Eventually(t, time.Minute, "every gateway has its routes", func() bool { return w.read(t.Context(), base) == nil })
	}
	return w
}

// read asks a gateway for products, from a page of another origin.
func (w *world) read(ctx context.Context, base string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/products?page_size=2", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Origin", "https://shop.example")
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = rsp.Body.Close() }()
	if _, err := io.Copy(io.Discard, rsp.Body); err != nil {
		return err
	}
	if rsp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", base, rsp.Status)
	}
	return nil
}

// put writes a setting straight into Consul, as its own UI does: nothing checks it.
func (w *world) put(key, value string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPut, "http://"+w.Consul.Addr+"/v1/kv/cleave/config/"+key, strings.NewReader(value))
	if err != nil {
		w.t.Fatal(err)
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = rsp.Body.Close()
	if rsp.StatusCode != http.StatusOK {
		w.t.Fatalf("Consul doesn't take %s: %s", key, rsp.Status)
	}
}

// state is what a process says of its settings.
type state struct {
	Settings []struct{ Key, Value, Source string }
	Refused  []struct{ Key, Reason string }
}

func (s state) value(key string) string {
	for _, one := range s.Settings {
		if one.Key == key {
			return one.Value
		}
	}
	return ""
}

// page reads what a process shows at a path of its admin listener.
func page(ctx context.Context, admin, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+path, nil)
	if err != nil {
		return err
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = rsp.Body.Close() }()
	return json.NewDecoder(rsp.Body).Decode(into)
}

// everywhere waits until every process is as ok says, and returns how long the last one took.
func (w *world) everywhere(what string, ok func(state) bool) time.Duration {
	w.t.Helper()
	begin := time.Now()
	return w.all(what, func(ctx context.Context, admin string) bool {
		var s state
		return page(ctx, admin, "/config", &s) == nil && ok(s)
	}).Sub(begin)
}

// all waits until ok holds for every process, and returns when the last one was seen.
func (w *world) all(what string, ok func(ctx context.Context, admin string) bool) (last time.Time) {
	w.t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	for _, admin := range w.admins {
		all.Go(func() {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for !ok(ctx, admin) {
				select {
				case <-ctx.Done():
					w.t.Errorf("%s: not at %s within 30 s", what, admin)
					return
				case <-tick.C:
				}
			}
			mu.Lock()
			last = time.Now()
			mu.Unlock()
		})
	}
	all.Wait()
	return last
}

// A value that is written into Consul is in force in every process within a second, under load, and no request fails; one that is wrong never is.
func TestAValueIsInForceEverywhere(t *testing.T) {
	least, enough := 10, int64(400) // rounds, requests
	if full() {
		least, enough = 100, 20_000
	}
	w := open(t)
	var next atomic.Int64
	load := harness.StartLoad(t, 150, func(ctx context.Context) error {
		return w.read(ctx, w.gateways[int(next.Add(1))%len(w.gateways)])
	})

	// Meanwhile every process is asked again and again whether it has what it never may have.
	var bad, looks atomic.Int64
	good := func(s state) bool {
		return slices.Contains([]string{"10s", "5s", "7s"}, s.value("gateway.timeout")) && slices.Contains([]string{"info", "debug"}, s.value("log.level"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	for _, admin := range w.admins {
		watching.Go(func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				var s state
				if page(ctx, admin, "/config", &s) == nil {
					looks.Add(1)
					if !good(s) {
						bad.Add(1)
						t.Errorf("%s has gateway.timeout = %s, log.level = %s", admin, s.value("gateway.timeout"), s.value("log.level"))
					}
				}
				select {
				case <-ctx.Done():
				case <-tick.C:
				}
			}
		})
	}

	var slowest time.Duration
	wrong := []string{"soon", "-1s", "999h", "", "7", "5s5"}
	rounds := 0
	for ; rounds < least || load.Sent.Load() < enough; rounds++ {
		i := rounds
		value := []string{"5s", "7s"}[i%2]
		w.put("gateway/timeout", value)
		slowest = max(slowest, w.everywhere("gateway.timeout = "+value, func(s state) bool { return s.value("gateway.timeout") == value }))
		w.put("gateway/timeout", wrong[i%len(wrong)])
		level := []string{"debug", "info"}[i%2] // what is good is taken beside what is wrong
		w.put("log/level", level)
		slowest = max(slowest, w.everywhere("log.level = "+level+", and a refusal", func(s state) bool {
			return s.value("log.level") == level && s.value("gateway.timeout") == value && len(s.Refused) == 1 && s.Refused[0].Key == "gateway.timeout"
		}))
	}
	w.byCommand()
	cancel()
	watching.Wait()
	load.Stop()
	if looks.Load() < int64(rounds) {
		t.Errorf("the processes were looked at %d times only", looks.Load())
	}
	if load.Failed.Load() > 0 {
		t.Error(load.Report())
	}
	harness.Figure(t, "config_changes", float64(2*rounds), 1e9, "changes")
	harness.Figure(t, "config_in_force_after", float64(slowest.Milliseconds()), 1000, "ms")
	harness.Figure(t, "config_bad_values_tried", float64(rounds), 1e9, "values")
	harness.Figure(t, "config_bad_values_in_force", float64(bad.Load()), 0, "values")
	harness.Figure(t, "config_requests_sent", float64(load.Sent.Load()), 1e9, "requests")
	harness.Figure(t, "config_requests_failed", float64(load.Failed.Load()), 0, "requests")
}

// byCommand does with the command what an operator does.
func (w *world) byCommand() {
	w.t.Helper()
	run := func(code int, args ...string) string {
		w.t.Helper()
		cmd := exec.Command(binary.Build(w.t), append(args, "--registry", "consul", "--consul-addr", w.Consul.Addr)...)
		var out, talk bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &talk
		if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
			w.t.Fatalf("cleave %q: %v\n%s%s", args, err, &out, &talk)
		}
		return out.String() + talk.String()
	}
	if out := run(2, "config", "set", "gateway.timeout", "soon"); !strings.Contains(out, "a duration such as") {
		w.t.Errorf("a value that is wrong: %s", out)
	}
	run(0, "config", "set", "gateway.timeout", "10s", "--reason", "enough")
	run(0, "config", "set", "cors.origins", "https://shop.example")
	w.everywhere("the origin is listed", func(s state) bool { return s.value("cors.origins") == "https://shop.example" && len(s.Refused) == 0 })
	for _, base := range w.gateways {
		req, _ := http.NewRequestWithContext(w.t.Context(), http.MethodGet, base+"/v1/products", nil)
		req.Header.Set("Origin", "https://shop.example")
		rsp, err := http.DefaultClient.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		_ = rsp.Body.Close()
		if rsp.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
			w.t.Errorf("%s lets no page of the shop call", base)
		}
	}
	if out := run(0, "config", "history"); !strings.Contains(out, "enough") || !strings.Contains(out, "cors.origins") {
		w.t.Errorf("history: %s", out)
	}
	if out := run(0, "config", "status"); strings.Count(out, "in force") < len(w.admins) {
		w.t.Errorf("status: %s", out)
	}
	run(0, "config", "rollback", "1")
	w.everywhere("the change was taken back", func(s state) bool { return s.value("cors.origins") == "" && s.value("gateway.timeout") == "10s" })
	w.put("log/level", "loud")
	w.everywhere("a level is refused", func(s state) bool { return len(s.Refused) == 1 })
	if out := run(1, "config", "status"); !strings.Contains(out, "loud") {
		w.t.Errorf("status: %s", out)
	}
	run(0, "config", "unset", "log.level")
	w.everywhere("nothing is refused any more", func(s state) bool { return len(s.Refused) == 0 && s.value("log.level") == "info" })
}
