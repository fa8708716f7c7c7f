package payment_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/services/payment/testprovider"
)

// buffer is a log that may be written to by many.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A card's token and the secret of the webhooks are in no log, no column of the module or the bank, no event and no error.
func TestSecretsAreNowhere(t *testing.T) {
	const secret = "whsec_canary_1d0c"
	tokens := []string{"tok_canary_7f3a", "tok_unavailable", "tok_visa", "tok_hang_after_charge", "tok_timeout_after_charge"}
	for _, url := range []string{"", "postgres"} {
		t.Run("on "+url, func(t *testing.T) {
			log, dir, last := &buffer{}, t.TempDir(), ""
			var answers strings.Builder
			c := open(t, setup{
				url: url, log: slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}), timeout: time.Second,
				bank: testprovider.Config{
					Dir: dir, Secret: secret, Log: slog.New(slog.NewJSONHandler(log, nil)),
					Deliver: func(context.Context, map[string]string, []byte) error { return errors.New("not now") },
				},
			})
			for _, token := range tokens {
				order := uuid.NewString()
				p, err := c.authorize(t.Context(), order, token, 100)
				last = c.of(order).GetId()
				fmt.Fprintf(&answers, "%v %+v %v\n", p, err, c.of(order))
			}
			body := anEvent(uuid.NewString(), uuid.NewString())
			forged := map[string]string{testprovider.SignatureHeader: "t=1,v1=00"}
			fmt.Fprint(&answers, c.post(t.Context(), c.bank.Sign(body), body), c.post(t.Context(), forged, body))
			c.later(time.Minute)
			c.eventually("the reconciler has logged", func() bool { return strings.Contains(log.String(), "reconciled") })

			for where, text := range map[string]string{
				"a log": log.String(), "an answer": answers.String(), "the module's database": c.dump(), "the bank's memory": files(t, dir),
			} {
				if !strings.Contains(text, last) {
					t.Errorf("there is nothing in %s", where)
				}
				for _, canary := range append(tokens, secret) {
					if strings.Contains(text, canary) {
						t.Errorf("%s has %s", where, canary)
					}
				}
			}
		})
	}
}

// files is all that is in a folder.
func files(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// dump is all that is in the module's database: whatever tables there are.
func (c *till) dump() string {
	c.t.Helper()
	tables := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if c.postgres {
		tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
	}
	var all strings.Builder
	for _, name := range c.rows(tables) {
		for _, row := range c.rows(`SELECT * FROM "` + name + `"`) {
			all.WriteString(name + " " + row + "\n")
		}
	}
	return all.String()
}

// rows returns each row as one text.
func (c *till) rows(query string) (out []string) {
	c.t.Helper()
	rows, err := c.db.QueryContext(context.Background(), query)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		c.t.Fatal(err)
	}
	for rows.Next() {
		cells, dest := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
		for i := range cells {
			dest[i] = &cells[i]
		}
		if err := rows.Scan(dest...); err != nil {
			c.t.Fatal(err)
		}
		out = append(out, string(bytes.Join(raw(cells), []byte(" "))))
	}
	if err := rows.Err(); err != nil {
		c.t.Fatal(err)
	}
	return out
}

func raw(cells []sql.RawBytes) [][]byte {
	out := make([][]byte, len(cells))
	for i, c := range cells {
		out[i] = c
	}
	return out
}
