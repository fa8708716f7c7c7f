package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/verify"
)

// stock is a module with a law of its own, in a database where it's broken 21 times or not at all.
func stock(t *testing.T, rows string) (dir string, m host.Module) {
	t.Helper()
	dir = t.TempDir()
	m = host.Module{
		Name:       "stock",
		Invariants: []verify.Check{{Name: "positive", Law: "n is positive", SQL: "SELECT n FROM stock WHERE n <= 0 ORDER BY n DESC"}},
		Migrations: fstest.MapFS{"migrations/00001_stock.sql": {Data: []byte("-- +goose Up\nCREATE TABLE stock (n BIGINT);\n" + rows)}},
	}
	db, err := data.Open(t.Context(), data.Config{
		Dir: dir, Module: m.Name, Migrations: m.Migrations, Schemas: []data.Schema{outbox.Schema(), idempotency.Schema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, m
}

// cleave runs the command in this process.
func cleave(m host.Module, laws []verify.Across, args ...string) (code int, stdout, stderr string) {
	var out, talk bytes.Buffer
	code = Run(Env{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk, Modules: []host.Module{m}, Laws: laws})
	return code, out.String(), talk.String()
}

const many = "INSERT INTO stock VALUES (0),(-1),(-2),(-3),(-4),(-5),(-6),(-7),(-8),(-9),(-10),(-11),(-12),(-13),(-14),(-15),(-16),(-17),(-18),(-19),(-20),(5);\n"

func TestVerifyTellsWhatIsBroken(t *testing.T) {
	dir, m := stock(t, many)
	across := []verify.Across{{Name: "both", Law: "they agree", Modules: []string{"stock"}, Find: func(_ context.Context, _ verify.View, report verify.Report) error {
		report("they don't")
		return nil
	}}}
	code, out, talk := cleave(m, across, "verify", "--data-dir", dir, "--wait", "10ms")
	if code != exitFailed || !strings.Contains(talk, "2 of 7 laws don't hold") {
		t.Errorf("exit code %d: %s", code, talk)
	}
	for _, want := range []string{"stock.positive", "21      n is positive\n", "stock.positive: n=0\n", "stock.positive: and 1 more\n", "both: they don't\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	code, out, _ = cleave(m, nil, "verify", "--data-dir", dir, "--wait", "0s", "-o", "json")
	var results []verify.Result
	if err := json.Unmarshal([]byte(out), &results); err != nil || code != exitFailed || verify.Broken(results) != 1 {
		t.Errorf("exit code %d, %v:\n%s", code, err, out)
	}
}

func TestVerifyOfAGoodShop(t *testing.T) {
	dir, m := stock(t, "INSERT INTO stock VALUES (1);\n")
	if code, out, talk := cleave(m, nil, "verify", "--data-dir", dir); code != exitOK || talk != "" || !strings.Contains(out, "stock.positive") {
		t.Errorf("exit code %d: %s%s", code, out, talk)
	}
}
