// Package edge runs the gateway as it is shipped, with what an operator does to it while users come: a hundred changes of its configuration and of
// the contracts behind it, and ten thousand connections that do nothing.
//
// In short it does less of both; CLEAVE_PROVE_EDGE=full is all.
package edge

import (
	"os"
	"testing"

	"github.com/cleavehq/cleave/test/harness"
)

var binary harness.Bin //nolint:gochecknoglobals // built once for the package, TestMain removes it

func TestMain(m *testing.M) {
	code := m.Run()
	binary.Remove()
	os.Exit(code)
}

func full() bool { return os.Getenv("CLEAVE_PROVE_EDGE") == "full" }
