// Package contracts takes what the gateway says of itself by its word: with the tools that others make of it.
package contracts

import (
	"net/http"
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

// fetch is a document of the gateway.
func fetch(t *testing.T, c *harness.Client, path string) []byte {
	t.Helper()
	var b []byte
	if status, err := c.Do(t.Context(), http.MethodGet, path, nil, &b); err != nil || status != http.StatusOK {
		t.Fatalf("%s: status %d, %v", path, status, err)
	}
	return b
}
