// Package layout checks what no compiler does: who may import whom, what a file may look like, that what is generated is fresh, and
// that the files for Consul and for containers say what the code says.
package layout

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/cleavehq/cleave"

// root returns the repository's folder.
func root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs a command in the repository's folder and returns its standard output. It fails the test when the command fails.
func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return out
}

// files returns every file that git has or would take, by its path in the repository.
func files(t testing.TB) []string {
	t.Helper()
	dir := root(t)
	var out []string
	for name := range strings.SplitSeq(string(run(t, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")), "\x00") {
		// One that is deleted but not yet committed is still in the list.
		if info, err := os.Lstat(filepath.Join(dir, name)); name != "" && err == nil && info.Mode().IsRegular() {
			out = append(out, name)
		}
	}
	if len(out) < 50 {
		t.Fatalf("git lists %d files only", len(out))
	}
	return out
}

// source is a parsed Go file that a person wrote.
type source struct {
	path string
	text []byte
	ast  *ast.File
	set  *token.FileSet
}

// at is the position of a node, for an error message.
func (s source) at(n ast.Node) string {
	p := s.set.Position(n.Pos())
	p.Filename = s.path
	return p.String()
}

// handwritten returns every Go file but the generated ones.
func handwritten(t testing.TB) []source {
	t.Helper()
	var out []source
	for _, path := range files(t) {
		if filepath.Ext(path) != ".go" {
			continue
		}
		s := source{path: path, text: read(t, path), set: token.NewFileSet()}
		var err error
		if s.ast, err = parser.ParseFile(s.set, path, s.text, parser.ParseComments); err != nil {
			t.Fatal(err)
		}
		if !ast.IsGenerated(s.ast) {
			out = append(out, s)
		}
	}
	return out
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(t), path))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
