// Package host runs modules: any set of them in one process, each as a go-micro service with its own registry entry, its own
// port and its own database.
package host

import (
	"context"
	"database/sql"
	"io/fs"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/verify"
)

// Module is one piece of business, ready to be run by a host. It is data: making one starts nothing.
type Module struct {
	// Name in the registry: lower-case letters.
	Name string
	// Contract is the file that holds the module's service: the server learns its methods from it and serves it by reflection.
	Contract protoreflect.FileDescriptor
	// Migrations are goose files, migrations/NNNNN_name.sql.
	Migrations fs.FS
	// Calls are the names of the modules that it calls: whom the mesh has to let it call.
	Calls []string
	// Invariants are the laws of the module's data, for `cleave verify`; may be nil.
	Invariants []verify.Check
	// SharesMemory says that the module's handlers are fit for direct calls with the caller's own messages, on the caller's goroutine; see
	// rpc.ServerConfig. Else they get copies.
	SharesMemory bool
	// Start builds the module from its dependencies and registers its handler with s, before s listens. The stop function is
	// called after the server has finished its last call; it may be nil. ctx ends when the host stops.
	Start func(ctx context.Context, d Deps, s server.Server) (stop func(context.Context) error, err error)
}

// Deps is all that a module may depend on.
type Deps struct {
	// Stopping is closed when the module begins to stop: streams that go on for as long as their callers like have to end then.
	Stopping <-chan struct{}
	// Name of the module.
	Name string
	// DB is the module's own database, migrated. The tables of package outbox are in it.
	DB *sql.DB
	// OpenDB opens another database beside the module's own, for a part that keeps books of its own, and migrates it. The caller closes it.
	OpenDB func(ctx context.Context, name string, migrations fs.FS) (*sql.DB, error)
	// Client calls other modules, through their generated client interfaces.
	Client client.Client
	// Broker carries events. The topics that outbox.Subscribe is given on it are in order together.
	Broker broker.Broker
	// Log has the module's name in it.
	Log *slog.Logger
	// Now is the clock.
	Now func() time.Time
	// Owner names this module in this process, for leases: no other module, process or run has the same.
	Owner string
	// Fault holds the failpoints that the operator armed; nil for none.
	Fault *fault.Points
	// Metrics receives the module's own metrics; may be nil. A module that starts again finds them registered.
	Metrics prometheus.Registerer
}
