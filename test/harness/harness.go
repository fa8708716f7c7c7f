// Package harness runs the real thing for the acceptance and robustness tests: the cleave binary as processes of their own, a real
// Consul, and a client that knows no more than an outsider does, HTTP.
package harness

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cleavehq/cleave/chassis/discovery/discoverytest"
)

// Bin builds cmd/cleave, once per test program.
type Bin struct {
	once sync.Once
	path string
	err  error
}

// Build returns the path of the binary. CLEAVE_TEST_BINARY, when set, is used instead of building one.
func (b *Bin) Build(t testing.TB) string {
	t.Helper()
	b.once.Do(func() {
		if b.path = os.Getenv("CLEAVE_TEST_BINARY"); b.path != "" {
			return
		}
		var dir string
		if dir, b.err = os.MkdirTemp("", "cleave-bin-"); b.err != nil { //nolint:usetesting // it outlives the test that builds it
			return
		}
		b.path = filepath.Join(dir, "cleave")
		out, err := exec.Command("go", "build", "-o", b.path, "github.com/cleavehq/cleave/cmd/cleave").CombinedOutput()
		if err != nil {
			b.err = fmt.Errorf("build cleave: %w\n%s", err, out)
		}
	})
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.path
}

// Remove deletes the binary that Build made. Call it when the test program ends.
func (b *Bin) Remove() {
	if b.path != "" && b.path != os.Getenv("CLEAVE_TEST_BINARY") {
		_ = os.RemoveAll(filepath.Dir(b.path))
	}
}

// Env returns the variable, or the address of the service that a developer's machine has.
func Env(name, local string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return local
}

// FreeAddr returns an address on loopback that nothing listens on, and that hardly ever another process takes before the caller does.
func FreeAddr(t testing.TB) string {
	t.Helper()
	return loopback(discoverytest.FreePorts(t, 1)[0])
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Eventually waits until ok returns true, asking every 20 ms, and returns how long it took. After limit the test fails.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v in vain: %s", limit, what)
		case <-tick.C:
		}
	}
	return time.Since(begin)
}

// Figure prints a figure of the proof and fails the test when it is over its limit. `make prove-system` collects the lines.
func Figure(t testing.TB, name string, value, limit float64, unit string) {
	t.Helper()
	fmt.Printf("figure %s %s %s\n", name, strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", value), "0"), "."), unit)
	if value > limit {
		t.Errorf("%s is %g %s, and may be %g at most", name, value, unit, limit)
	}
}
