package data

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"github.com/cleavehq/cleave/chassis/problem"
)

// OnCommit calls fn after every transaction that [Tx] commits on db, until stop is called; fn must not block. db is one that [Open] opened:
// of any other nothing is heard. It is a hint that something may have changed: other processes' transactions aren't seen.
func OnCommit(db *sql.DB, fn func()) (stop func()) {
	d, ok := db.Driver().(*openedDriver)
	if !ok {
		return func() {}
	}
	return d.listen(fn)
}

// committed tells those who listen.
func committed(db *sql.DB) {
	if d, ok := db.Driver().(*openedDriver); ok {
		d.tell()
	}
}

func isPostgres(db *sql.DB) bool {
	d := db.Driver()
	if o, ok := d.(*openedDriver); ok {
		d = o.Driver
	}
	_, ok := d.(*stdlib.Driver)
	return ok
}

// openedDriver belongs to one *sql.DB. It is what a Tx and an OnCommit of that database have in common.
type openedDriver struct {
	driver.Driver

	mu        sync.Mutex
	listeners map[int]func()
	next      int
}

func (d *openedDriver) listen(fn func()) (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listeners == nil {
		d.listeners = make(map[int]func())
	}
	id := d.next
	d.next++
	d.listeners[id] = fn
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.listeners, id)
	}
}

func (d *openedDriver) tell() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, fn := range d.listeners {
		fn()
	}
}

// ReasonAway is the reason of UNAVAILABLE when no connection to the database can be opened.
const ReasonAway = "DATABASE_UNAVAILABLE"

// connector opens connections for one *sql.DB.
type connector struct {
	open   func(ctx context.Context) (driver.Conn, error)
	driver *openedDriver
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.open(ctx)
	if err != nil && ctx.Err() == nil {
		err = problem.Unavailable(ReasonAway, "the database can't be reached").Because(err)
	}
	if err != nil {
		return nil, err
	}
	if _, ok := c.driver.Driver.(*sqlite.Driver); ok {
		return keeping(conn), nil
	}
	return conn, nil
}

func (c *connector) Driver() driver.Driver { return c.driver }

// openDB is sql.Open with a driver of the database's own.
func openDB(name, dsn string) (*sql.DB, error) {
	plain, err := sql.Open(name, dsn) // opens no connection; it knows the driver
	if err != nil {
		return nil, err
	}
	d := plain.Driver()
	if err := plain.Close(); err != nil {
		return nil, err
	}
	c := &connector{driver: &openedDriver{Driver: d}}
	c.open = func(context.Context) (driver.Conn, error) { return d.Open(dsn) }
	if name == "pgx" {
		conf, err := pgx.ParseConfig(dsn)
		if err != nil {
			return nil, err
		}
		conf.Tracer = pgTracer{}
		c.open = stdlib.GetConnector(*conf).Connect
	} else if dc, ok := d.(driver.DriverContext); ok {
		inner, err := dc.OpenConnector(dsn)
		if err != nil {
			return nil, err
		}
		c.open = inner.Connect
	}
	return sql.OpenDB(c), nil
}
