package layout

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// buf runs the pinned buf.
func buf(t testing.TB, args ...string) []byte {
	t.Helper()
	return run(t, "go", append([]string{"tool", "-modfile=tools/go.mod", "buf"}, args...)...)
}

// The committed code is what `make generate` makes of the contracts, byte for byte.
func TestGeneratedCodeIsFresh(t *testing.T) {
	dir := t.TempDir()
	buf(t, "generate", "--output", dir)
	fresh := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		fresh[name] = true
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if got, err := os.ReadFile(filepath.Join(root(t), name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale: make generate", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(fresh) < 10 {
		t.Fatalf("buf generated %d files only", len(fresh))
	}
	for _, path := range files(t) {
		if strings.HasPrefix(path, "proto/") && strings.HasSuffix(path, ".go") && !fresh[path] {
			t.Errorf("%s is no longer generated: delete it", path)
		}
	}
}

func TestContractsAreClean(t *testing.T) {
	buf(t, "lint")
	buf(t, "format", "--diff", "--exit-code", "--path", "proto/shop", "--path", "proto/cleave")
}
