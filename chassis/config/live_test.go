package config_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cleavehq/cleave/chassis/config"
	"github.com/cleavehq/cleave/chassis/discovery/discoverytest"
)

type tuned struct {
	Level  string   `koanf:"level" live:"true"`
	Limit  int      `koanf:"limit" live:"true"`
	Most   int      `koanf:"most" live:"true"`
	Tags   []string `koanf:"tags" live:"true"`
	Port   int      `koanf:"port"`
	Own    string   `koanf:"own" layers:"local"`
	Secret string   `koanf:"secret" secret:"true" live:"true"`
	URL    string   `koanf:"url" secret:"url"`
}

// Validate implements config.Validator.
func (s tuned) Validate() error {
	var errs []error
	if s.Level != "info" && s.Level != "debug" {
		errs = append(errs, config.Invalid("level", "%q is none of info, debug", s.Level))
	}
	if s.Most < s.Limit {
		errs = append(errs, config.Invalid("limit", "%d is more than most, which is %d", s.Limit, s.Most))
	}
	return errors.Join(errs...)
}

func base() tuned { return tuned{Level: "info", Limit: 1, Most: 10, Port: 80} }

func live(t *testing.T, o config.Options, values store) (*config.Live[tuned], *prometheus.Registry) {
	t.Helper()
	l, err := config.LoadKV(t.Context(), base(), o, func(tuned) (config.KV, error) { return values, nil })
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	v, err := config.NewLive(l, config.LiveConfig{Metrics: reg})
	if err != nil {
		t.Fatal(err)
	}
	return v, reg
}

func refusedCount(t *testing.T, reg *prometheus.Registry, want float64) {
	t.Helper()
	text := fmt.Sprintf("# HELP config_refused_total Values of settings that were refused.\n# TYPE config_refused_total counter\nconfig_refused_total %v\n", want)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(text), "config_refused_total"); err != nil {
		t.Error(err)
	}
}

func TestAGoodValueIsTakenAndABadOneIsNot(t *testing.T) {
	v, reg := live(t, config.Options{EnvPrefix: "X_", Environ: []string{"X_TAGS=mine"}}, store{"limit": "2"})
	var told []tuned
	v.OnChange(func(now tuned) { told = append(told, now) })
	take := func(values store) config.State {
		t.Helper()
		v.TakeStore(t.Context(), values)
		return v.State()
	}
	take(store{"limit": "3", "tags": "theirs"})
	if now := v.Current(); now.Limit != 3 || fmt.Sprint(now.Tags) != "[mine]" {
		t.Errorf("in force: %+v", now)
	}
	s := take(store{"limit": "many", "level": "debug"})
	if now := v.Current(); now.Limit != 3 || now.Level != "debug" {
		t.Errorf("the last good one doesn't stay, or what is good beside isn't taken: %+v", now)
	}
	if len(s.Refused) != 1 || s.Refused[0].Key != "limit" || !strings.Contains(s.Refused[0].Reason, "many") || s.Refused[0].Source != "kv:limit" {
		t.Errorf("shown as refused: %+v", s.Refused)
	}
	refusedCount(t, reg, 1)
	s = take(store{"limit": "many", "level": "loud"}) // what one check finds, and what another
	if now := v.Current(); now.Limit != 3 || now.Level != "debug" || len(s.Refused) != 2 {
		t.Errorf("in force: %+v, refused: %+v", now, s.Refused)
	}
	refusedCount(t, reg, 2)                         // limit is not refused twice
	s = take(store{"limit": "11", "level": "loud"}) // more than most, whose value is a default
	if now := v.Current(); now.Limit != 3 || len(s.Refused) != 2 {
		t.Errorf("in force: %+v, refused: %+v", now, s.Refused)
	}
	s = take(store{"limit": "11", "most": "12"})
	if now := v.Current(); now.Limit != 11 || now.Most != 12 || now.Level != "info" || len(s.Refused) != 0 {
		t.Errorf("in force: %+v, refused: %+v", now, s.Refused)
	}
	if len(told) != 4 || told[3].Limit != 11 {
		t.Errorf("subscribers were told %+v", told)
	}
}

func TestWhatIsNotLiveWaitsForARestart(t *testing.T) {
	v, _ := live(t, config.Options{}, store{"port": "81"})
	v.TakeStore(t.Context(), store{"port": "82", "own": "not for a store", "secret": "hunter2"})
	s := v.State()
	if now := v.Current(); now.Port != 81 || now.Own != "" || now.Secret != "hunter2" || s.Pending["port"] != "82" || len(s.Unknown) != 1 {
		t.Errorf("in force: %+v, state: %+v", now, s)
	}
	w := httptest.NewRecorder()
	v.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/config", nil))
	if text := w.Body.String(); strings.Contains(text, "hunter2") || !json.Valid([]byte(text)) || !strings.Contains(text, `"live": true`) {
		t.Errorf("shown: %s", text)
	}
	v.TakeStore(t.Context(), store{"port": "far"})
	if s := v.State(); len(s.Refused) != 1 || len(s.Pending) != 1 { // 80, as no store said otherwise
		t.Errorf("state: %+v", s)
	}
}

// A process that starts while a bad value is there starts without it, when the setting is a live one, and doesn't start else.
func TestAStartWithABadValue(t *testing.T) {
	v, reg := live(t, config.Options{}, store{"limit": "many", "level": "debug"})
	if s := v.State(); v.Current().Limit != 1 || v.Current().Level != "debug" || len(s.Refused) != 1 {
		t.Errorf("in force: %+v, state %+v", v.Current(), s)
	}
	refusedCount(t, reg, 1)
	_, err := config.LoadKV(t.Context(), base(), config.Options{}, func(tuned) (config.KV, error) { return store{"port": "far"}, nil })
	var wrong *config.Error
	if !errors.As(err, &wrong) || wrong.Key != "port" {
		t.Errorf("a setting that isn't live: %v", err)
	}
}

func TestAFileIsFollowed(t *testing.T) {
	path := file(t, "limit: 2\n")
	v, reg := live(t, config.Options{File: path}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go v.Follow(ctx, nil)
	write := func(text string, ok func() bool) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		discoverytest.Eventually(t, 20*time.Second, func() error {
			if !ok() {
				return fmt.Errorf("in force after %q: %+v", text, v.State())
			}
			return nil
		})
	}
	write("limit: 30\nmost: 40\n", func() bool { return v.Current().Limit == 30 })
	write("limit: 31\nmost: 1", func() bool { return len(v.State().Refused) == 1 })
	if v.Current().Limit != 30 {
		t.Errorf("in force: %+v", v.Current())
	}
	refusedCount(t, reg, 1)
	v.TakeStore(t.Context(), store{"level": "debug"})
	if v.Current().Level != "debug" || len(v.State().Refused) != 1 {
		t.Errorf("the store, while the file is bad: %+v", v.State())
	}
	write("limit: 5\n", func() bool { return v.Current().Limit == 5 && len(v.State().Refused) == 0 })
}

func TestPreview(t *testing.T) {
	l, err := config.LoadKV(t.Context(), base(), config.Options{EnvPrefix: "X_", Environ: []string{"X_LEVEL=debug"}}, func(tuned) (config.KV, error) {
		return store{"most": "many"}, nil // wrong already
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key, value string
		good       bool
	}{
		{"limit", "2", true}, {"port", "81", true}, {"most", "20", true}, {"url", "nats://host:4222", true},
		{"limit", "many", false}, {"limit", "11", false}, {"limt", "2", false}, {"own", "x", false}, {"secret", "x", false},
		{"url", "nats://me:hunter2@host", false},
	} {
		_, err := l.Preview(config.Change{Key: c.key, New: &c.value})
		if (err == nil) != c.good || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s = %s: %v", c.key, c.value, err)
		}
	}
}

func backends(t *testing.T) map[string]config.Backend {
	t.Helper()
	c, err := api.NewClient(&api.Config{Address: discoverytest.StartConsul(t).Address})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]config.Backend{"file": config.NewFileKV(filepath.Join(t.TempDir(), "config.json")), "consul": config.NewConsulKV(c, "a/config")}
}

func TestBackends(t *testing.T) {
	for name, b := range backends(t) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			v, _ := live(t, config.Options{}, nil)
			go v.Follow(ctx, b)
			text := func(s string) *string { return &s }
			put := func(key string, value *string, want int64) config.Change {
				t.Helper()
				got, err := b.Change(ctx, config.Change{Key: key, New: value, Author: "me", Reason: "a test"})
				if err != nil || got.Version != want {
					t.Fatalf("version %d, want %d: %v", got.Version, want, err)
				}
				return got
			}
			put("limit", text("4"), 1)
			discoverytest.Eventually(t, 20*time.Second, func() error {
				if v.Current().Limit != 4 {
					return errors.New("not in force")
				}
				return nil
			})
			if c := put("limit", text("5"), 2); c.Old == nil || *c.Old != "4" || c.Time.IsZero() {
				t.Errorf("change: %+v", c)
			}
			put("limit", nil, 3)
			put("limit", nil, 4)
			discoverytest.Eventually(t, 20*time.Second, func() error {
				if v.Current().Limit != 1 {
					return errors.New("not back to the default")
				}
				return nil
			})
			for i := range config.HistoryLimit {
				put("most", text(fmt.Sprint(10+i)), int64(5+i))
			}
			past, err := b.History(ctx)
			if err != nil || len(past) != config.HistoryLimit || past[0].Version != 104 || past[99].Version != 5 {
				t.Errorf("history: %d changes, %v", len(past), err)
			}
			if values, err := b.Values(ctx); err != nil || len(values) != 1 || values["most"] != "109" {
				t.Errorf("values: %v, %v", values, err)
			}
			if _, err := b.Change(ctx, config.Change{Key: "limit", Author: "me"}); err == nil {
				t.Error("a change without a reason was written")
			}
		})
	}
}

func ExampleLive() {
	type limits struct {
		Rate int `koanf:"rate" live:"true"`
	}
	l, err := config.Load(limits{Rate: 100}, config.Options{})
	if err != nil {
		panic(err)
	}
	v, err := config.NewLive(l, config.LiveConfig{})
	if err != nil {
		panic(err)
	}
	v.OnChange(func(now limits) { fmt.Println("in force:", now.Rate) })
	ctx := context.Background() // v.Follow(ctx, config.NewConsulKV(client, "shop/config")) does what follows
	v.TakeStore(ctx, map[string]string{"rate": "200"})
	v.TakeStore(ctx, map[string]string{"rate": "fast"})
	fmt.Println(v.State().Refused[0].Reason)
	// Output:
	// in force: 100
	// in force: 200
	// "fast": want a whole number of 64 bits
}
