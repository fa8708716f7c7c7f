package layout

import (
	"go/ast"
	"go/doc"
	"path"
	"strings"
	"testing"
)

// Every package of the library says what it is and shows itself: a package comment, and an example that `go test` runs. The packages
// for tests (datatest, eventstest, ...) need the comment only: they run inside a test, which an example is not.
func TestChassisShowsItself(t *testing.T) {
	examples := map[string][]*ast.File{}
	for _, s := range handwritten(t) {
		if strings.HasSuffix(s.path, "_test.go") {
			dir := module + "/" + path.Dir(s.path)
			examples[dir] = append(examples[dir], s.ast)
		}
	}
	seen := 0
	for _, p := range packages(t) {
		if !strings.HasPrefix(p.ImportPath, module+"/chassis/") || strings.Contains(p.ImportPath, "/internal") {
			continue
		}
		seen++
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		if strings.HasSuffix(p.Name, "test") {
			continue
		}
		if !runs(doc.Examples(examples[p.ImportPath]...)) {
			t.Errorf("%s has no example with an Output comment", p.ImportPath)
		}
	}
	if seen == 0 {
		t.Fatal("no package was looked at")
	}
}

// runs says whether `go test` runs one of the examples: it compiles the others only.
func runs(examples []*doc.Example) bool {
	for _, e := range examples {
		if e.Output != "" || e.EmptyOutput {
			return true
		}
	}
	return false
}

func TestEveryPackageHasAComment(t *testing.T) {
	for _, p := range packages(t) {
		// The generator copies no package comment of a contract into Go, and of a package of tests `go list` reads none.
		if p.Doc == "" && len(p.GoFiles) > 0 && !strings.HasPrefix(p.ImportPath, module+"/proto/") {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
