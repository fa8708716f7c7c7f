package resilience

import (
	"context"
	"database/sql"
	"log/slog"
	"runtime"
	"syscall"
	"testing"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/rpc"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	"github.com/cleavehq/cleave/test/harness"
)

// slowly is a catalogue whose database takes its time.
type slowly struct {
	catalogv1.CatalogHandler
	query string
	db    *sql.DB
	began chan struct{}
	ended chan error
}

func (s *slowly) GetProduct(ctx context.Context, _ *catalogv1.GetProductRequest, _ *catalogv1.Product) error {
	close(s.began)
	_, err := s.db.ExecContext(ctx, s.query)
	s.ended <- err
	return err
}

// sqliteForever counts for longer than anybody waits.
const sqliteForever = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n`

// spent is how much of a processor this process has had.
func spent() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used) // of itself it can't fail
	return time.Duration(used.Utime.Nano())
}

// Who gives up a call gives up the query that the call waits for, on the other side of a wire, in the database.
func TestACancelledCallCancelsItsQuery(t *testing.T) {
	const mark = "SELECT pg_sleep(300) /* cancel_test */"
	for engine, c := range map[string]struct {
		db      *sql.DB
		query   string
		running func(db *sql.DB) bool // in the database
	}{
		"sqlite": {datatest.SQLite(t, "catalog", nil), sqliteForever, nil}, // in this process: that it runs shows in the time that it takes
		"postgres": {datatest.Postgres(t, "catalog", nil), mark, func(db *sql.DB) bool {
			var n int
			err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity
				WHERE datname = current_database() AND state = 'active' AND query LIKE '%cancel_test%' AND pid <> pg_backend_pid()`).Scan(&n)
			return err == nil && n > 0
		}},
	} {
		for _, wire := range []string{"lane", "grpc", "direct"} {
			t.Run(engine+"/"+wire, func(t *testing.T) {
				reg, local, log := registry.NewMemoryRegistry(), &rpc.Local{}, slog.New(slog.DiscardHandler)
				s, err := rpc.NewServer(rpc.ServerConfig{
					Name: "catalog", Contract: catalogv1.File_shop_catalog_v1_catalog_proto, Registry: reg, Log: log, DrainWait: time.Millisecond, Local: local,
				})
				if err != nil {
					t.Fatal(err)
				}
				h := &slowly{query: c.query, db: c.db, began: make(chan struct{}), ended: make(chan error, 1)}
				if err := catalogv1.RegisterCatalogHandler(s, h); err != nil {
					t.Fatal(err)
				}
				if err := s.Start(); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = s.Stop() }()
				conf := rpc.ClientConfig{Registry: reg, Log: log, NoLane: wire == "grpc"}
				if wire == "direct" {
					conf.Local = local
				}
				cl, err := rpc.NewClient(conf)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = cl.Close() }()
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					<-h.began
					for begin := spent(); c.running == nil && spent()-begin < 100*time.Millisecond || c.running != nil && !c.running(c.db); {
						runtime.Gosched()
					}
					cancel()
				}()
				key := &catalogv1.GetProductRequest{Key: &catalogv1.GetProductRequest_Handle{Handle: "x"}}
				if _, err := catalogv1.NewCatalogService("catalog", cl).GetProduct(ctx, key); err == nil {
					t.Fatal("the call was not cancelled")
				}
				select {
				case err := <-h.ended:
					if err == nil {
						t.Error("the query came to its end")
					}
				case <-time.After(20 * time.Second):
					t.Fatal("the handler still waits for its query")
				}
				if c.running != nil {
					harness.Eventually(t, 20*time.Second, "the database has stopped", func() bool { return !c.running(c.db) })
				}
			})
		}
	}
}
