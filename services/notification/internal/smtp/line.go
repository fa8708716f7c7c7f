package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"
)

// line is the connection of one mail, which can be ended at any moment and from any side.
type line struct {
	host string
	// tls comes before the first word, from who is known to one of roots; nil is the system's.
	tls   bool
	roots *x509.CertPool

	mu   sync.Mutex
	conn net.Conn
	over bool
}

// dial is a gomail.DialContextFunc.
func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if !l.keep(conn) {
		return nil, context.Canceled
	}
	if !l.tls {
		return conn, nil
	}
	secure := tls.Client(conn, &tls.Config{ServerName: l.host, RootCAs: l.roots, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, nil
}

func (l *line) keep(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		_ = conn.Close()
		return false
	}
	l.conn = conn
	return true
}

// hangUp ends the connection. Again, it does nothing.
func (l *line) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.conn != nil {
		_ = l.conn.Close()
	}
}
