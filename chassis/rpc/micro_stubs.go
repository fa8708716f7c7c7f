package rpc

import (
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/logger"
	"go-micro.dev/v4/registry"
)

// nowhere is a registry that knows nobody.
type nowhere struct{}

func (nowhere) Init(...registry.Option) error                                    { return nil }
func (nowhere) Options() registry.Options                                        { return registry.Options{} }
func (nowhere) Register(*registry.Service, ...registry.RegisterOption) error     { return nil }
func (nowhere) Deregister(*registry.Service, ...registry.DeregisterOption) error { return nil }
func (nowhere) GetService(string, ...registry.GetOption) ([]*registry.Service, error) {
	return nil, registry.ErrNotFound
}
func (nowhere) ListServices(...registry.ListOption) ([]*registry.Service, error) { return nil, nil }
func (nowhere) Watch(...registry.WatchOption) (registry.Watcher, error) {
	return nil, registry.ErrNotFound
}
func (nowhere) String() string { return "nowhere" }

// shared is a broker that somebody else connects and disconnects.
type shared struct{ broker.Broker }

func (shared) Connect() error    { return nil }
func (shared) Disconnect() error { return nil }

// silent is a go-micro logger: what go-micro's server says of single connections is noise, and the rest we log ourselves.
type silent struct{}

func (silent) Init(...logger.Option) error           { return nil }
func (silent) Options() logger.Options               { return logger.Options{Level: logger.FatalLevel} }
func (s silent) Fields(map[string]any) logger.Logger { return s }
func (silent) Log(logger.Level, ...any)              {}
func (silent) Logf(logger.Level, string, ...any)     {}
func (silent) String() string                        { return "silent" }
