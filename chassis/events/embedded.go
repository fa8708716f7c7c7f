package events

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// EmbeddedConfig describes a NATS server inside this process.
type EmbeddedConfig struct {
	// Dir is where JetStream keeps messages; it is made when missing. Two servers must not share one.
	Dir string
	// Port to listen on, at 127.0.0.1; 0 is a free one. Other processes of this machine may join.
	Port int
	// MaxBytes bounds what JetStream stores; 0 is 4 GiB.
	MaxBytes int64
	// NoSync acknowledges a message before it is on disk (the server then writes every two minutes): a power cut may lose
	// messages that Publish called stored. A killed process loses none either way.
	NoSync bool
	// Log gets the server's own log; nil discards it.
	Log *slog.Logger
}

// Embedded is a running NATS server with JetStream. It handles no signals.
type Embedded struct {
	server *server.Server
	once   sync.Once
}

// startWait bounds the time until the server takes connections; recovering a large store takes some.
const startWait = 30 * time.Second

// StartEmbedded starts a server and returns when it takes connections.
func StartEmbedded(conf EmbeddedConfig) (*Embedded, error) {
	if conf.Dir == "" {
		return nil, errors.New("start embedded nats: Dir is empty")
	}
	if conf.Log == nil {
		conf.Log = slog.New(slog.DiscardHandler)
	}
	if conf.MaxBytes == 0 {
		conf.MaxBytes = 4 << 30
	}
	port := conf.Port
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "cleave-embedded", Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: conf.Dir, JetStreamMaxStore: conf.MaxBytes, JetStreamMaxMemory: 64 << 20,
		SyncAlways: !conf.NoSync, MaxPayload: MaxMessage + headerRoom,
	})
	if err != nil {
		return nil, fmt.Errorf("start embedded nats: %w", err)
	}
	s.SetLoggerV2(&natsLog{conf.Log.With("component", "nats")}, false, false, false)
	go s.Start()
	if !s.ReadyForConnections(startWait) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("start embedded nats: not ready after %s; see its log", startWait)
	}
	if !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, errors.New("start embedded nats: JetStream did not start; see its log")
	}
	return &Embedded{server: s}, nil
}

// URL is where to connect.
func (e *Embedded) URL() string { return e.server.ClientURL() }

// Shutdown stops the server and returns when its files are closed. A second call waits likewise.
func (e *Embedded) Shutdown() {
	e.once.Do(e.server.Shutdown)
	e.server.WaitForShutdown()
}

var _ server.Logger = (*natsLog)(nil)

// natsLog writes the server's log to slog. A notice is news to an operator of NATS, not to one of ours.
type natsLog struct{ log *slog.Logger }

func (l *natsLog) Noticef(f string, v ...any) { l.log.Debug("nats", "said", fmt.Sprintf(f, v...)) }
func (l *natsLog) Warnf(f string, v ...any)   { l.log.Warn("nats", "said", fmt.Sprintf(f, v...)) }
func (l *natsLog) Errorf(f string, v ...any)  { l.log.Error("nats", "said", fmt.Sprintf(f, v...)) }
func (l *natsLog) Fatalf(f string, v ...any)  { l.log.Error("nats", "said", fmt.Sprintf(f, v...)) }
func (l *natsLog) Debugf(f string, v ...any)  { l.log.Debug("nats", "said", fmt.Sprintf(f, v...)) }
func (l *natsLog) Tracef(f string, v ...any)  { l.log.Debug("nats", "said", fmt.Sprintf(f, v...)) }
