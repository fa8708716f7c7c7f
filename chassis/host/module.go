// Package host runs modules: any set of them in one process, each as a go-micro service with its own registry entry, its own
// port and its own database.
package host

import (
	"context"
	"database/sql"
	"io/fs"
	"log/slog"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Module is one piece of business, ready to be run by a host. It is data: making one starts nothing.
type Module struct {
	// Name in the registry: lower-case letters.
	Name string
	// Contract is the file that holds the module's service: the server learns its methods from it and serves it by reflection.
	Contract protoreflect.FileDescriptor
	// Migrations are goose files, NNNNN_name.sql, in the root of the file system.
	Migrations fs.FS
	// Start builds the module from its dependencies and registers its handler with s, before s listens. The stop function is
	// called after the server has finished its last call; it may be nil. ctx ends when the host stops.
	Start func(ctx context.Context, d Deps, s server.Server) (stop func(context.Context) error, err error)
}

// Deps is all that a module may depend on.
type Deps struct {
	// Name of the module.
	Name string
	// DB is the module's own database, migrated.
	DB *sql.DB
	// Client calls other modules, through their generated client interfaces.
	Client client.Client
	// Broker carries events.
	Broker broker.Broker
	// Log has the module's name in it.
	Log *slog.Logger
	// Now is the clock.
	Now func() time.Time
}
