package events

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// link is a connection to RabbitMQ that comes back.
type link struct {
	url, name string
	log       *slog.Logger
	declare   func(*amqp.Channel) error
	quit      chan struct{}
	ended     chan struct{}

	mu      sync.Mutex
	conn    *amqp.Connection
	out     *amqp.Channel // for publishing, in confirm mode
	changed chan struct{} // closed when conn or out changes
}

func newLink(url, name string, log *slog.Logger, declare func(*amqp.Channel) error) *link {
	return &link{url: url, name: name, log: log, declare: declare, quit: make(chan struct{}), ended: make(chan struct{}), changed: make(chan struct{})}
}

// start connects, and from then on keeps the connection.
func (l *link) start() error {
	lost, err := l.dial()
	if err != nil {
		return err
	}
	go l.keep(lost)
	return nil
}

// dial makes one connection. The channel it returns tells when the connection or its publishing channel is lost.
func (l *link) dial() (<-chan *amqp.Error, error) {
	conf := amqp.Config{Heartbeat: 10 * time.Second, Locale: "en_US", Dial: amqp.DefaultDial(publishWait), Properties: amqp.NewConnectionProperties()}
	conf.Properties.SetClientConnectionName(l.name)
	conn, err := amqp.DialConfig(l.url, conf)
	if err != nil {
		return nil, err
	}
	out, err := conn.Channel()
	if err == nil {
		err = l.declare(out)
	}
	if err == nil {
		err = out.Confirm(false)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	lost := make(chan *amqp.Error, 2) // the library closes it
	out.NotifyClose(lost)             // a lost connection closes its channels too
	l.set(conn, out)
	return lost, nil
}

func (l *link) set(conn *amqp.Connection, out *amqp.Channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.out = conn, out
	close(l.changed)
	l.changed = make(chan struct{})
}

// keep connects again whenever the connection is lost.
func (l *link) keep(lost <-chan *amqp.Error) {
	defer close(l.ended)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-l.quit:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		select {
		case <-l.quit:
			return
		case err := <-lost:
			if ctx.Err() != nil {
				return
			}
			l.log.Warn("lost RabbitMQ", "error", err)
		}
		l.mu.Lock()
		conn := l.conn
		l.mu.Unlock()
		l.set(nil, nil)
		if conn != nil {
			_ = conn.Close() // in case only the channel broke
		}
		for try := 0; ; try++ {
			var err error
			if lost, err = l.dial(); err == nil {
				l.log.Info("RabbitMQ is back")
				break
			}
			if !pause(ctx, backoff(try)) {
				return
			}
		}
	}
}

// close ends the connection for good.
func (l *link) close() error {
	close(l.quit)
	<-l.ended
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	l.set(nil, nil)
	if conn == nil || conn.IsClosed() {
		return nil
	}
	return conn.Close()
}

// get waits for a connection.
func (l *link) get(ctx context.Context) (*amqp.Connection, *amqp.Channel, error) {
	for {
		l.mu.Lock()
		conn, out, changed := l.conn, l.out, l.changed
		l.mu.Unlock()
		if conn != nil && !conn.IsClosed() && !out.IsClosed() {
			return conn, out, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-l.quit:
			return nil, nil, errNotConnected
		}
	}
}

// channel opens a channel of the caller's own.
func (l *link) channel(ctx context.Context) (*amqp.Channel, error) {
	conn, _, err := l.get(ctx)
	if err != nil {
		return nil, err
	}
	return conn.Channel()
}

// publish sends one message and waits until RabbitMQ has stored it.
func (l *link) publish(ctx context.Context, exchange, key string, p amqp.Publishing) error {
	_, out, err := l.get(ctx)
	if err != nil {
		return err
	}
	confirm, err := out.PublishWithDeferredConfirmWithContext(ctx, exchange, key, false, false, p)
	if err != nil {
		return err
	}
	stored, err := confirm.WaitContext(ctx)
	if err != nil {
		return err
	}
	if !stored {
		return errors.New("RabbitMQ refused to store it")
	}
	return nil
}
