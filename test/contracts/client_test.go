package contracts

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/test/harness"
)

// run runs a command in tools/oapi, and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = filepath.Join("..", "..", "tools", "oapi")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestAGeneratedClientBuysSomething: what oapi-codegen makes of /openapi.json compiles, all of it, and buys.
func TestAGeneratedClientBuysSomething(t *testing.T) {
	s := harness.OneProcess(t, binary.Build(t), nil)
	dir := t.TempDir()
	document, client, overlay, program := filepath.Join(dir, "openapi.json"), filepath.Join(dir, "client.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "buy")
	write(t, document, fetch(t, s.Client, "/openapi.json"))
	run(t, "go", "tool", "oapi-codegen", "-generate", "types,client", "-package", "shop", "-o", client, document)

	target, err := filepath.Abs(filepath.Join("..", "..", "tools", "oapi", "shop", "client.go"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{target: client}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, overlay, b)
	run(t, "go", "build", "-overlay", overlay, "-o", program, "./buy")

	_, sku, _, _ := s.Guest().InStock(t)
	if out := run(t, program, s.Base, sku); !strings.HasSuffix(strings.TrimSpace(out), "ORDER_STATE_PAID") {
		t.Errorf("bought: %s", out)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
