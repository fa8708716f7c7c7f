// Package outboxtest is the conformance suite of outbox and inbox over a broker and a database: run it on yours.
package outboxtest

import (
	"database/sql"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/events"
)

// Broker is what the suite runs on.
type Broker interface {
	broker.Broker
	events.DeadLetterBox
}

// Setup is a broker and a database.
type Setup struct {
	// Connect returns a connected broker, as another process would have it, with eventstest.Delivery. Brokers of one test share their messages;
	// those of different tests do not. The test ends their life.
	Connect func(t *testing.T) Broker
	// DB has outbox.Schema and nothing else in it. The suite empties it.
	DB *sql.DB
	// Lose makes the broker's server forget every event and group. It is nil for a broker that is no events.Keeper.
	Lose func(t *testing.T)
}

// patience is how long the suite waits for what must come; it is long because machines under load are slow.
const patience = 3 * time.Minute

// Run runs every test. begin is called once for each. A and B are two generated message types with a string field event_id.
func Run[A, B proto.Message](t *testing.T, begin func(t *testing.T) Setup) {
	r := &suite[A, B]{}
	type test struct {
		name string
		run  func(t *testing.T)
	}
	tests := []test{
		{"an event commits with its change", r.commits},
		{"keys in order, and at the same time", r.keysInOrder},
		{"topics of a key in order together", r.topicsTogether},
		{"a failure at any step applies once", r.failures},
		{"a stale owner is refused", r.staleOwner},
		{"an outage", r.outage},
		{"an event that can't be published stops its key only", r.stuckKey},
		{"redelivered in the wrong order", r.wrongOrder},
		{"an event that never comes, and comes too late", r.tooLate},
		{"poison, a dead letter, a replay", r.poison},
		{"a consumer that comes later", r.latecomer},
		{"rows stay as long as they are needed", r.kept},
		{"what the broker lost is published again", r.lost},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			r.Setup = begin(t)
			r.empty(t)
			tc.run(t)
		})
	}
}

// suite is Run's.
type suite[A, B proto.Message] struct{ Setup }

func (s *suite[A, B]) empty(t *testing.T) {
	t.Helper()
	if _, err := s.DB.Exec(`CREATE TABLE IF NOT EXISTS outboxtest_log (consumer TEXT NOT NULL, n BIGINT NOT NULL, name TEXT NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{
		"outbox", "outbox_key", "outbox_consumer", "inbox", "inbox_key", "inbox_gap", "inbox_wait", "inbox_topic", "lease", "lease_beat",
	} {
		if _, err := s.DB.Exec("DELETE FROM " + table); err != nil {
			t.Fatal(err)
		}
	}
}
