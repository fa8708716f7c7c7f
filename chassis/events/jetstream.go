package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go-micro.dev/v4/broker"
)

var _ broker.Broker = (*JetStream)(nil)

// JetStreamConfig says where NATS is and what it keeps.
type JetStreamConfig struct {
	// URL of the server, or several with commas; empty is nats://127.0.0.1:4222.
	URL string
	// Name of this connection, for NATS's own monitoring.
	Name string
	// Log gets lost connections, failures and dead letters; nil discards.
	Log *slog.Logger
	// Namespace keeps brokers on one server apart; letters, digits, - and _. Empty is "cleave".
	Namespace string
	// MaxAge is how long messages are kept; 0 is 7 days. Dead letters are kept four times as long.
	MaxAge time.Duration
	// MaxBytes bounds what is kept; 0 is 1 GiB. The oldest messages go first.
	MaxBytes int64
	// Delivery says how hard to try.
	Delivery Delivery
}

// JetStream is a broker on NATS JetStream. One stream, NAMESPACE_EVENTS, keeps every topic under the subject
// NAMESPACE.events.TOPIC; another, NAMESPACE_DEAD, keeps dead letters under NAMESPACE.dead.TOPIC. A group is a durable
// pull consumer. It is safe for concurrent use.
type JetStream struct {
	conf JetStreamConfig
	log  *slog.Logger

	mu      sync.Mutex
	options broker.Options
	conn    *nats.Conn
	js      jetstream.JetStream
	subs    map[*subscription]struct{}
	epoch   chan struct{} // closed when a lost connection is back: NATS then knows nothing of open requests
}

// publishWait bounds a Publish whose context has no earlier deadline.
const publishWait = 5 * time.Second

// dedupeWindow is how long JetStream remembers an Event-Id.
const dedupeWindow = 2 * time.Minute

// NewJetStream returns a broker that is not connected yet.
func NewJetStream(conf JetStreamConfig) (*JetStream, error) {
	if conf.URL == "" {
		conf.URL = nats.DefaultURL
	}
	if conf.Namespace == "" {
		conf.Namespace = "cleave"
	}
	if plainName(conf.Namespace) != conf.Namespace {
		return nil, fmt.Errorf("new jetstream broker: namespace %q: want letters, digits, - and _", conf.Namespace)
	}
	if conf.MaxAge < 0 || conf.MaxBytes < 0 {
		return nil, errors.New("new jetstream broker: MaxAge or MaxBytes is negative")
	}
	if conf.MaxAge == 0 {
		conf.MaxAge = 7 * 24 * time.Hour
	}
	if conf.MaxBytes == 0 {
		conf.MaxBytes = 1 << 30
	}
	if err := conf.Delivery.validate(); err != nil {
		return nil, fmt.Errorf("new jetstream broker: %w", err)
	}
	conf.Delivery = conf.Delivery.withDefaults()
	if conf.Log == nil {
		conf.Log = slog.New(slog.DiscardHandler)
	}
	return &JetStream{
		conf: conf, log: conf.Log.With("broker", "nats"), subs: make(map[*subscription]struct{}), epoch: make(chan struct{}),
		options: broker.Options{Context: context.Background(), Addrs: []string{conf.URL}},
	}, nil
}

// Init applies go-micro options. broker.Addrs changes the server, and is an error once connected.
func (j *JetStream) Init(opts ...broker.Option) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	o := j.options
	for _, opt := range opts {
		opt(&o)
	}
	if len(o.Addrs) > 0 && o.Addrs[0] != j.conf.URL {
		if j.conn != nil {
			return errors.New("init jetstream broker: the address cannot change while connected")
		}
		j.conf.URL = o.Addrs[0]
	}
	j.options = o
	return nil
}

// Options returns what Init was given.
func (j *JetStream) Options() broker.Options {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.options
}

// Address is the server connected to, without credentials, or "" while there is none.
func (j *JetStream) Address() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.conn == nil {
		return ""
	}
	return j.conn.ConnectedUrlRedacted()
}

// String is "nats".
func (j *JetStream) String() string { return "nats" }

// Connect connects and makes the two streams. It fails when the server cannot be reached now; a connection lost later is
// made again for ever. A second call does nothing.
func (j *JetStream) Connect() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.conn != nil {
		return nil
	}
	conn, err := nats.Connect(j.conf.URL,
		nats.Name(j.conf.Name), nats.Timeout(publishWait), nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond), nats.ReconnectJitter(200*time.Millisecond, 500*time.Millisecond),
		nats.PingInterval(10*time.Second), nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				j.log.Warn("lost NATS", "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			j.log.Info("NATS is back", "server", c.ConnectedUrlRedacted())
			j.mu.Lock()
			close(j.epoch)
			j.epoch = make(chan struct{})
			j.mu.Unlock()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { j.log.Warn("NATS reported", "error", err) }),
	)
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	js, err := jetstream.New(conn)
	if err == nil {
		err = j.ensure(js)
	}
	if err != nil {
		conn.Close()
		return fmt.Errorf("connect to NATS: %w", err)
	}
	j.conn, j.js = conn, js
	return nil
}

// ensure makes the streams or brings them up to date.
func (j *JetStream) ensure(js jetstream.JetStream) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*publishWait)
	defer cancel()
	for _, s := range []jetstream.StreamConfig{
		{Name: j.stream(), Subjects: []string{j.subject(">")}, MaxAge: j.conf.MaxAge, Duplicates: min(dedupeWindow, j.conf.MaxAge)},
		{Name: j.deadStream(), Subjects: []string{j.deadSubject(">")}, MaxAge: 4 * j.conf.MaxAge, Duplicates: min(dedupeWindow, j.conf.MaxAge)},
	} {
		s.Storage, s.Retention, s.Discard = jetstream.FileStorage, jetstream.LimitsPolicy, jetstream.DiscardOld
		s.MaxBytes, s.MaxMsgSize = j.conf.MaxBytes, MaxMessage+headerRoom
		if err := ensureStream(ctx, js, s); err != nil {
			return fmt.Errorf("make stream %s: %w", s.Name, err)
		}
	}
	return nil
}

// ensureStream leaves a stream alone that is as it should be: it may be in use.
func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateStream(ctx, want)
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another's, of other limits, was quicker
			return err
		}
		stream, err = js.Stream(ctx, want.Name)
	}
	if err != nil {
		return err
	}
	is := stream.CachedInfo().Config
	if slices.Equal(is.Subjects, want.Subjects) && is.MaxAge == want.MaxAge && is.Duplicates == want.Duplicates &&
		is.Storage == want.Storage && is.Retention == want.Retention && is.Discard == want.Discard &&
		is.MaxBytes == want.MaxBytes && is.MaxMsgSize == want.MaxMsgSize {
		return nil
	}
	_, err = js.UpdateStream(ctx, want)
	return err
}

// forgotten is how long a stream that is missing is left alone before it is made anew.
const forgotten = time.Second

// restore makes the streams anew after the server has lost them. NATS forgets a stream that somebody deletes before it moves its files away
// (nats-server 2.15, stream.stop): one that is made in between loses its files, and stores nothing from then on.
func (j *JetStream) restore(ctx context.Context, js jetstream.JetStream) error {
	if _, err := js.Stream(ctx, j.stream()); errors.Is(err, jetstream.ErrStreamNotFound) && !pause(ctx, forgotten) {
		return ctx.Err()
	}
	return j.ensure(js)
}

// Disconnect unsubscribes everything, which waits for handlers, and closes the connection.
func (j *JetStream) Disconnect() error {
	j.mu.Lock()
	subs := make([]*subscription, 0, len(j.subs))
	for s := range j.subs {
		subs = append(subs, s)
	}
	j.mu.Unlock()
	var errs []error
	for _, s := range subs {
		errs = append(errs, s.Unsubscribe())
	}
	j.mu.Lock()
	conn := j.conn
	j.conn, j.js = nil, nil
	j.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
	return errors.Join(errs...)
}

// current is nil while not connected.
func (j *JetStream) current() jetstream.JetStream {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.js
}

func (j *JetStream) stream() string                  { return j.conf.Namespace + "_EVENTS" }
func (j *JetStream) deadStream() string              { return j.conf.Namespace + "_DEAD" }
func (j *JetStream) subject(topic string) string     { return j.conf.Namespace + ".events." + topic }
func (j *JetStream) deadSubject(topic string) string { return j.conf.Namespace + ".dead." + topic }
