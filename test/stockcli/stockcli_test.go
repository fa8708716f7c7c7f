// Package stockcli calls Cleave with the go-micro command as it comes, v1.1.4, pinned in tools/micro and built from there.
package stockcli

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// With `cleave up` on its embedded default, the stock command needs no flag: it finds the services by mdns and calls them by
// go-micro's own RPC. It is mdns's default domain, so no other Cleave may be in it meanwhile: the
// test would not know whom it speaks to.
func TestStockCLI(t *testing.T) {
	micro := filepath.Join(t.TempDir(), "go-micro")
	build := exec.CommandContext(t.Context(), "go", "-C", filepath.Join("..", "..", "tools", "micro"), "build", "-o", micro,
		"github.com/go-micro/cli/cmd/go-micro")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build go-micro: %v\n%s", err, out)
	}
	if out, err := said(t, micro, "services"); err != nil || strings.TrimSpace(out) != "" {
		t.Fatalf("something is in the default mdns domain already; stop it (a `cleave up` in another terminal?): %v\n%s", err, out)
	}
	var bin harness.Bin
	t.Cleanup(bin.Remove)
	addr := harness.FreeAddr(t)
	shop := harness.NewClient(addr)
	up := harness.Start(t, nil, bin.Build(t), "up", "--data-dir", t.TempDir(), "--listen", addr)
	harness.Eventually(t, time.Minute, "the shop is up", func() bool {
		if up.Exited() {
			t.Fatal("cleave up ended")
		}
		return shop.Ready(t.Context(), "/v1/products/by-handle/stoneware-mug")
	})

	failed := 0
	for name, call := range map[string]func(t *testing.T, micro string){
		"services": services, "describe": describe, "call": call, "call of what isn't there": missing,
	} {
		if !t.Run(name, func(t *testing.T) { call(t, micro) }) {
			failed++
		}
	}
	harness.Figure(t, "stock_cli_calls_that_failed", float64(failed), 0, "calls")
}

// said runs the command, which writes its answer to standard output.
func said(t *testing.T, micro string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), micro, args...)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func services(t *testing.T, micro string) {
	harness.Eventually(t, 30*time.Second, "go-micro services lists every module and the gateway", func() bool {
		out, err := said(t, micro, "services")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		lines := strings.Fields(out)
		slices.Sort(lines)
		want := append(harness.Modules(), "gateway")
		slices.Sort(want)
		return slices.Equal(lines, want)
	})
}

func describe(t *testing.T, micro string) {
	out, err := said(t, micro, "describe", "service", "catalog")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var service struct {
		Name      string
		Endpoints []struct{ Name string }
		Nodes     []struct{ Address string }
	}
	if err := json.Unmarshal([]byte(out), &service); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	has := slices.ContainsFunc(service.Endpoints, func(e struct{ Name string }) bool { return e.Name == "Catalog.GetProduct" })
	if service.Name != "catalog" || len(service.Nodes) != 1 || !has {
		t.Errorf("%+v", service)
	}
}

func call(t *testing.T, micro string) {
	out, err := said(t, micro, "call", "catalog", "Catalog.GetProduct", `{"handle": "stoneware-mug"}`)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var product harness.Product
	if err := json.Unmarshal([]byte(out), &product); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if product.Handle != "stoneware-mug" || len(product.Variants) == 0 || product.Variants[0].Price.Minor <= 0 {
		t.Errorf("%+v", product)
	}
}

// An error comes through as one: its reason and its text, and an exit code that is not 0.
func missing(t *testing.T, micro string) {
	out, err := said(t, micro, "call", "catalog", "Catalog.GetProduct", `{"handle": "no-such-thing"}`)
	if err == nil || !strings.Contains(out, "no-such-thing") {
		t.Errorf("%v\n%s", err, out)
	}
}
