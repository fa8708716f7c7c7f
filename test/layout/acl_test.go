package layout

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/test/harness"
)

// The policies in consul/acl are those that `cleave mesh bootstrap` makes: one for each module, and nothing that is left over.
func TestPoliciesAreFresh(t *testing.T) {
	var bin harness.Bin
	t.Cleanup(bin.Remove)
	dir := t.TempDir()
	run(t, bin.Build(t), "mesh", "policies", dir)
	made, err := os.ReadDir(dir)
	if err != nil || len(made) < len(modules(t)) {
		t.Fatalf("%d policies, %v", len(made), err)
	}
	for _, e := range made {
		want, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(read(t, "consul/acl/"+e.Name()), want) {
			t.Errorf("consul/acl/%s is not what `cleave mesh policies consul/acl` writes", e.Name())
		}
	}
	for _, path := range files(t) {
		name, ok := strings.CutPrefix(path, "consul/acl/")
		if _, err := os.Stat(filepath.Join(dir, name)); ok && err != nil {
			t.Errorf("%s is nobody's policy", path)
		}
	}
	for _, m := range modules(t) {
		if _, err := os.Stat(filepath.Join(dir, m+".hcl")); err != nil {
			t.Errorf("the module %s has no policy", m)
		}
	}
}
