package config_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/cleavehq/cleave/chassis/config"
)

type settings struct {
	Registry string `koanf:"registry"`
	Consul   struct {
		Addr  string `koanf:"addr" layers:"local"`
		Token string `koanf:"token" secret:"true"`
	} `koanf:"consul"`
	URL     string        `koanf:"url" secret:"url"`
	Timeout time.Duration `koanf:"timeout"`
	Limit   int           `koanf:"limit"`
	Tags    []string      `koanf:"tags"`
	Debug   bool          `koanf:"debug"`
}

// Validate implements config.Validator.
func (s settings) Validate() error {
	if s.Limit < 0 {
		return config.Invalid("limit", "%d is below 0", s.Limit)
	}
	return nil
}

func defaults() settings {
	s := settings{Registry: "mdns", Timeout: time.Second, Limit: 10}
	s.Consul.Addr = "127.0.0.1:8500"
	return s
}

func flags(args ...string) *pflag.FlagSet {
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	for _, name := range []string{"registry", "consul-addr", "consul-token", "consul-token-file", "timeout", "limit", "tags", "unrelated"} {
		f.String(name, "of the flag", "")
	}
	if err := f.Parse(args); err != nil {
		panic(err)
	}
	return f
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cleave.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// store is a KV in memory.
type store map[string]string

func (s store) Values(context.Context) (map[string]string, error) { return s, nil }
func (s store) Where(key string) string                           { return "kv:" + key }

func TestEachLayerOverridesTheOnesBelow(t *testing.T) {
	kv := store{"registry": "of the store", "limit": "1", "timeout": "1m", "tags": "x", "consul/addr": "not for a store", "other": "unknown"}
	opts := config.Options{
		File:      file(t, "registry: of the file\nlimit: 2\ntimeout: 2m\n"),
		EnvPrefix: "CLEAVE_", Environ: []string{"CLEAVE_REGISTRY=of the environment", "CLEAVE_LIMIT=3", "CLEAVE_NONSENSE=1", "LIMIT=9"},
		Flags: flags("--registry", "given"),
	}
	l, err := config.LoadKV(t.Context(), defaults(), opts, func(settings) (config.KV, error) { return kv, nil })
	if err != nil {
		t.Fatal(err)
	}
	v := l.Value
	if v.Registry != "given" || v.Limit != 3 || v.Timeout != 2*time.Minute || fmt.Sprint(v.Tags) != "[x]" || v.Consul.Addr != "127.0.0.1:8500" {
		t.Errorf("got %+v", v)
	}
	for key, want := range map[string]string{
		"registry": "--registry", "limit": "CLEAVE_LIMIT", "timeout": "cleave.yaml:3", "tags": "kv:tags", "debug": "default", "consul.addr": "default",
	} {
		if got := l.Source(key).String(); !strings.HasSuffix(got, want) {
			t.Errorf("%s came from %q, want %q", key, got, want)
		}
	}
	if got := strings.Join(l.Unknown(), " "); !strings.Contains(got, "CLEAVE_NONSENSE") || !strings.Contains(got, "other") {
		t.Errorf("unknown: %s", got)
	}
}

func TestEveryMistakeIsTold(t *testing.T) {
	_, err := config.Load(defaults(), config.Options{
		File:      file(t, "limit: many\nregistri: x\nconsul:\n  adr: y\ntimeout: 5 parsecs\n"),
		EnvPrefix: "CLEAVE_", Environ: []string{"CLEAVE_DEBUG=perhaps"},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"cleave.yaml:1", "limit", "cleave.yaml:2", "registri", "registry", "cleave.yaml:4", "cleave.yaml:5", "timeout", "CLEAVE_DEBUG"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	_, err = config.Load(defaults(), config.Options{EnvPrefix: "CLEAVE_", Environ: []string{"CLEAVE_LIMIT=-1"}})
	var wrong *config.Error
	if !errors.As(err, &wrong) || wrong.Key != "limit" || !strings.Contains(err.Error(), "CLEAVE_LIMIT") {
		t.Errorf("what Validate says: %v", err)
	}
	for _, bad := range []string{"a: [", "\t", "a: b: c", "- x\n", "registry: {a: b}\n", "limit: &x 1\nregistry: *y\n"} {
		if _, err := config.Load(defaults(), config.Options{File: file(t, bad)}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if _, err := config.Load(defaults(), config.Options{File: "/nowhere/cleave.yaml"}); err == nil {
		t.Error("a file that isn't there was taken")
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := config.Load(defaults(), config.Options{
		EnvPrefix: "CLEAVE_", Environ: []string{"CLEAVE_URL=postgres://me:hunter3@db/x?key=hunter4"}, Flags: flags("--consul-token-file", token),
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.Value.Consul.Token != "hunter2" || !strings.Contains(l.Value.URL, "hunter3") {
		t.Errorf("got %+v", l.Value)
	}
	if out := l.String(); strings.Contains(out, "hunter") || !strings.Contains(out, "db") {
		t.Errorf("shown:\n%s", out)
	}
	_, err = config.Load(defaults(), config.Options{Flags: flags("--consul-token-file", "/nowhere/token")})
	if err == nil || !strings.Contains(err.Error(), "/nowhere/token") {
		t.Errorf("a secret's file that isn't there: %v", err)
	}
}

func TestAStoreThatFails(t *testing.T) {
	down := errors.New("no answer")
	_, err := config.LoadKV(t.Context(), defaults(), config.Options{}, func(settings) (config.KV, error) { return nil, down })
	if !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
}

func FuzzFile(f *testing.F) {
	f.Add("registry: consul\nconsul: {addr: x}\ntags: [a, b]\n")
	f.Add("limit: 0123\ndebug: yes\n")
	f.Add("a: &a [*a]\n")
	f.Add("? {}\n: 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := config.Load(defaults(), config.Options{File: path})
		if err == nil && l.Value.Limit < 0 {
			t.Errorf("%q was taken", text)
		}
	})
}

func ExampleLoad() {
	type limits struct {
		Rate  int    `koanf:"rate"`
		Token string `koanf:"token" secret:"true"`
	}
	l, err := config.Load(limits{Rate: 100}, config.Options{EnvPrefix: "SHOP_", Environ: []string{"SHOP_RATE=200", "SHOP_TOKEN=hunter2"}})
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Value.Rate)
	fmt.Print(l)
	// Output:
	// 200
	// rate = 200  (SHOP_RATE)
	// token = (secret)  (SHOP_TOKEN)
}
