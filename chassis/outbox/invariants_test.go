package outbox_test

import (
	"database/sql"
	"testing"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/verify"
)

// Each law is broken, one after the other, and told by its name.
func TestInvariants(t *testing.T) {
	datatest.Each(t, "shop", nil, func(t *testing.T, db *sql.DB) {
		other := datatest.SQLite(t, "other", nil, outbox.Schema())
		told := func(want string, broken int) {
			t.Helper()
			got, err := verify.Run(t.Context(), verify.Config{
				Modules: []verify.Module{{Name: "shop", DB: db, Checks: outbox.Invariants()}, {Name: "other", DB: other, Checks: outbox.Invariants()}},
				Across:  []verify.Across{outbox.EventsApplied("shop", "other")},
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range got {
				if n := r.Broken; r.Check == want && n != broken || r.Check != want && n != 0 {
					t.Errorf("%s is broken %d times: %q", r.Check, n, r.Cases)
				}
			}
		}
		exec := func(db *sql.DB, query string) {
			t.Helper()
			if _, err := db.ExecContext(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}
		told("", 0)
		exec(other, "INSERT INTO inbox_topic VALUES ('other', 'Made', 1000), ('other.mail', 'Made', 2000), ('other', 'Gone', 0)")
		exec(db, insertEvent+"('k', 1, 'e1', 'Made', '', '', '', 500, 1)") // before anyone asked
		told("", 0)
		exec(db, insertEvent+"('k', 2, 'e2', 'Made', '', '', '', 1500, 0)")
		told("shop.events_published", 1)
		exec(db, "UPDATE outbox SET published_at = 1")
		told("events_applied", 1)
		exec(other, "INSERT INTO inbox VALUES ('other', 'e2', 'Made', 1600)")
		told("", 0)
		exec(db, insertEvent+"('k', 3, 'e3', 'Made', '', '', '', 2500, 2600)")
		told("events_applied", 2)
		exec(other, "INSERT INTO inbox VALUES ('other', 'e3', 'Made', 2700), ('other.mail', 'e3', 'Made', 2700)")
		told("", 0)
		exec(other, "INSERT INTO inbox_gap (consumer, key, topic, first, last, made_at) VALUES ('other', 'k', 'Made', 3, 4, 3000)")
		told("other.events_none_passed_over", 1)
		exec(other, "DELETE FROM inbox_gap")
		exec(other, "INSERT INTO lease VALUES ('relay', 'me', 3)")
		exec(other, "INSERT INTO lease_beat VALUES ('relay', 3, 10, 0)")
		told("", 0)
		exec(other, "UPDATE lease_beat SET epoch = 4")
		told("other.leases_one_epoch", 1)
		exec(other, "DELETE FROM lease")
		told("other.leases_one_epoch", 1)
	}, outbox.Schema())
}

const insertEvent = "INSERT INTO outbox (key, seq, event_id, topic, prior, traceparent, body, created_at, published_at) VALUES "
