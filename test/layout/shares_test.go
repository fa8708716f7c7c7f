package layout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A module that shares memory with its callers has tests that find out when it isn't fit for it.
func TestWhoSharesMemoryIsWatched(t *testing.T) {
	modules, err := filepath.Glob("../../services/*/module.go")
	if err != nil || len(modules) == 0 {
		t.Fatalf("%d modules, %v", len(modules), err)
	}
	for _, m := range modules {
		if !holds(t, m, "SharesMemory: true") {
			continue
		}
		tests, err := filepath.Glob(filepath.Join(filepath.Dir(m), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		watched := false
		for _, f := range tests {
			watched = watched || holds(t, f, "rpc.Watched(t)")
		}
		if !watched {
			t.Errorf("%s says SharesMemory, and no test beside it runs under rpc.Watched", m)
		}
	}
}

func holds(t *testing.T, file, text string) bool {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(b), text)
}
