package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

const twoEvents = `INSERT INTO outbox (key, seq, event_id, topic, prior, traceparent, body, created_at, published_at) VALUES
	('a', 1, 'e1', 'x', '', '', '', 1, 2), ('a', 2, 'e2', 'x', '', '', '', 1, 0);
`

func TestOutboxStatus(t *testing.T) {
	dir, m := stock(t, twoEvents)
	code, out, talk := cleave(m, nil, "outbox", "status", "--data-dir", dir)
	if lines := strings.Split(out, "\n"); code != exitOK || talk != "" || len(lines) != 3 || !strings.HasPrefix(lines[0], "MODULE  PENDING  OLDEST") ||
		!strings.HasPrefix(lines[1], "stock   1 ") {
		t.Errorf("exit code %d: %s%s", code, out, talk)
	}
	code, out, _ = cleave(m, nil, "outbox", "status", "--data-dir", dir, "--modules", "stock", "-o", "json")
	var list []eventsOf
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != exitOK || len(list) != 1 {
		t.Fatalf("exit code %d, %v: %s", code, err, out)
	}
	if e := list[0]; e.Module != "stock" || e.Pending != 1 || e.Unconfirmed != 1 || e.OldestSeconds < 1e9 || e.Dead != 0 {
		t.Errorf("%+v", e)
	}
	if code, _, talk := cleave(m, nil, "outbox", "status", "--data-dir", t.TempDir()); code != exitFailed || !strings.Contains(talk, "left out") {
		t.Errorf("no database: exit code %d, %s", code, talk)
	}
	if code, _, talk := cleave(m, nil, "outbox", "status", "--data-dir", dir, "--modules", "nothing"); code != exitUsage {
		t.Errorf("no such module: exit code %d, %s", code, talk)
	}
}
