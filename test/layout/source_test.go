package layout

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

func TestFilesAreShort(t *testing.T) {
	const limit = 400
	for _, s := range handwritten(t) {
		if n := bytes.Count(s.text, []byte("\n")); n > limit {
			t.Errorf("%s has %d lines, %d is the limit", s.path, n, limit)
		}
	}
}

func TestFilesAreFormatted(t *testing.T) {
	for _, s := range handwritten(t) {
		want, err := format.Source(s.text)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, s.text) {
			t.Errorf("%s is not gofmt's", s.path)
		}
	}
}

func TestNoInit(t *testing.T) {
	for _, s := range handwritten(t) {
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init(): a package that is imported does nothing by itself", s.at(f))
			}
		}
	}
}

// A variable of a package is an error, a regular expression, an embedded file, or the proof that a type implements an interface.
// Any other needs the reason that the linter wants: //nolint:gochecknoglobals // why.
func TestNoPackageState(t *testing.T) {
	excused := regexp.MustCompile(`nolint:[a-z,]*gochecknoglobals[a-z,]* // \S`)
	for _, s := range handwritten(t) {
		for _, d := range s.ast.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if !ok || constant(v) || embedded(g.Doc, v.Doc) || commented(excused, g.Doc, v.Doc, v.Comment) {
					continue
				}
				t.Errorf("%s: var %s is state of the package", s.at(v), v.Names[0].Name)
			}
		}
	}
}

func constant(v *ast.ValueSpec) bool {
	for i, name := range v.Names {
		if name.Name == "_" {
			continue
		}
		if i >= len(v.Values) {
			return false
		}
		call, ok := v.Values[i].(*ast.CallExpr)
		if !ok {
			return false
		}
		switch called(call) {
		case "errors.New", "fmt.Errorf", "regexp.MustCompile":
		default:
			return false
		}
	}
	return true
}

func embedded(docs ...*ast.CommentGroup) bool {
	return commented(regexp.MustCompile(`^//go:embed `), docs...)
}

func commented(what *regexp.Regexp, docs ...*ast.CommentGroup) bool {
	for _, d := range docs {
		if d == nil {
			continue
		}
		for _, c := range d.List {
			if what.MatchString(c.Text) {
				return true
			}
		}
	}
	return false
}

// called names a called function as it stands in the source, "time.Sleep".
func called(c *ast.CallExpr) string {
	sel, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := sel.X.(*ast.Ident); ok {
		return x.Name + "." + sel.Sel.Name
	}
	return "." + sel.Sel.Name
}

// What runs outside a test may sleep where the linter is told why.
func TestNoSleepAndNoSkip(t *testing.T) {
	skip := regexp.MustCompile(`^(t|tb|b|f|testing)?\.Skip(f|Now)?$`)
	tests := regexp.MustCompile(`_test\.go$|^test/|/[a-z]+test/`)
	for _, s := range handwritten(t) {
		if !tests.MatchString(s.path) {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				switch name := called(c); {
				case name == "time.Sleep":
					t.Errorf("%s: time.Sleep: wait for a condition", s.at(c))
				case skip.MatchString(name):
					t.Errorf("%s: %s: a test that can't run fails", s.at(c), name)
				}
			}
			return true
		})
	}
}

// Money is an integer count of minor units. Nothing in a module is a fraction, so that no amount can pass through one.
func TestNoFloatTouchesMoney(t *testing.T) {
	found := 0
	for _, s := range handwritten(t) {
		if !strings.HasPrefix(s.path, "services/") || strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		found++
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				if n.Name == "float32" || n.Name == "float64" || n.Name == "ParseFloat" || n.Name == "FormatFloat" {
					t.Errorf("%s: %s", s.at(n), n.Name)
				}
			case *ast.BasicLit:
				if n.Kind == token.FLOAT {
					t.Errorf("%s: %s", s.at(n), n.Value)
				}
			case *ast.ImportSpec:
				if n.Path.Value == `"math/big"` {
					t.Errorf("%s: math/big has fractions; int64 with a limit has none", s.at(n))
				}
			}
			return true
		})
	}
	if found == 0 {
		t.Fatal("no module was looked at")
	}
	field := regexp.MustCompile(`^\s*(repeated |optional )?(float|double)\s`)
	for _, path := range files(t) {
		if !strings.HasPrefix(path, "proto/shop/") || !strings.HasSuffix(path, ".proto") {
			continue
		}
		for i, line := range strings.Split(string(read(t, path)), "\n") {
			if field.MatchString(line) {
				t.Errorf("%s:%d: %s", path, i+1, strings.TrimSpace(line))
			}
		}
	}
}

// A path of the machine that a file was written on has no meaning on another.
func TestNoMachinePaths(t *testing.T) {
	var machine *regexp.Regexp
	{
		dirs := []string{"home/[a-z]", "root/", "Users/[A-Za-z]", "work/", "tmp/", "var/folders/"}
		machine = regexp.MustCompile(`(^|[\s"'=:(` + "`" + `])/(` + strings.Join(dirs, "|") + `)`)
	}
	for _, path := range files(t) {
		if strings.HasPrefix(path, "proto/third_party/") || strings.Contains(path, "/testdata/") {
			continue
		}
		text := read(t, path)
		if bytes.IndexByte(text, 0) >= 0 {
			continue // not text
		}
		for i, line := range strings.Split(string(text), "\n") {
			if machine.MatchString(line) {
				t.Errorf("%s:%d: %s", path, i+1, strings.TrimSpace(line))
			}
		}
	}
}
