package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/test/harness"
)

func consulBinary(t testing.TB) string {
	t.Helper()
	bin := os.Getenv("CLEAVE_TEST_CONSUL")
	if bin == "" {
		t.Fatal("CLEAVE_TEST_CONSUL must name a Consul binary; `make test` builds one and sets it")
	}
	return bin
}

func TestConsulTakesItsConfiguration(t *testing.T) {
	bin := consulBinary(t)
	run(t, bin, "validate", "consul/agent.hcl", "consul/server.hcl")
	run(t, bin, "validate", "consul/agent.hcl", "consul/server.hcl", "consul/agent-acl.hcl", "consul/agent-tls.hcl")

	// A validator that takes anything would prove nothing.
	broken := filepath.Join(t.TempDir(), "broken.hcl")
	text := bytes.Replace(read(t, "consul/agent.hcl"), []byte("client_addr"), []byte("client_address"), 1)
	if err := os.WriteFile(broken, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), bin, "validate", broken).CombinedOutput(); err == nil {
		t.Errorf("consul takes a key that there isn't: %s", out)
	}
}

func TestConsulListensOnLoopbackOnly(t *testing.T) {
	address := regexp.MustCompile(`(?m)^\s*([a-z_]*addr[a-z_]*)\s*=\s*"([^"]*)"`)
	found := 0
	for _, path := range []string{"consul/agent.hcl", "consul/server.hcl", "consul/agent-acl.hcl", "consul/agent-tls.hcl"} {
		for _, m := range address.FindAllSubmatch(read(t, path), -1) {
			found++
			if string(m[2]) != "127.0.0.1" {
				t.Errorf("%s: %s is %s", path, m[1], m[2])
			}
		}
	}
	if found != 2 {
		t.Errorf("%d addresses were found, want bind_addr and client_addr", found)
	}
}

// Every key of the seed is a setting that cleave reads: with the seed's value it starts, with nonsense it names the key, and refuses to start unless
// the setting changes while processes run: then it goes on without.
func TestConsulSeedHoldsSettings(t *testing.T) {
	const seed = "consul/kv/settings.json"
	agent := harness.StartConsul(t)
	var bin harness.Bin
	t.Cleanup(bin.Remove)
	cleave := bin.Build(t)
	kv := func(args ...string) {
		run(t, consulBinary(t), append([]string{"kv", args[0], "-http-addr=" + agent.Addr}, args[1:]...)...)
	}
	services := func() (int, string) {
		cmd := exec.CommandContext(t.Context(), cleave, "services", "--registry", "consul", "--consul-addr", agent.Addr)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}
	kv("import", "@"+seed)
	if code, out := services(); code != 0 {
		t.Fatalf("with the seed the exit code is %d: %s", code, out)
	}
	var entries []struct{ Key string }
	if err := json.Unmarshal(read(t, seed), &entries); err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		t.Fatal("the seed is empty")
	}
	for _, e := range entries {
		kv("put", e.Key, "no such value")
		want := 2
		if e.Key == "cleave/config/log/level" {
			want = 0
		}
		if code, out := services(); code != want || !strings.Contains(out, e.Key) {
			t.Errorf("with nonsense in %s the exit code is %d: %s", e.Key, code, out)
		}
		kv("import", "@"+seed)
	}
}
