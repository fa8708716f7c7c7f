package rpc

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/cleavehq/cleave/chassis/rpc/internal/lane"
)

// preface is how every HTTP/2 connection begins, RFC 9113 section 3.4; no HTTP/1 method does.
const preface = "PRI "

// accept hands each connection to its wire. It returns when ln is closed.
func (s *Server) accept(ln net.Listener, toGRPC, toMicro *queue) {
	var sniffing sync.WaitGroup
	defer func() {
		sniffing.Wait()
		_ = toGRPC.Close()
		_ = toMicro.Close()
	}()
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file descriptors, or reset before it was accepted
			<-time.After(10 * time.Millisecond)
			continue
		}
		conn = s.tracked(conn)
		sniffing.Go(func() {
			told, what, err := s.tell(conn)
			switch {
			case err != nil:
				_ = conn.Close()
			case what == preface || what == alpnGRPC:
				toGRPC.put(told)
			case (what == lane.Magic || what == alpnLane) && s.lane != nil:
				s.lane.put(told)
			default:
				toMicro.put(told)
			}
		})
	}
}

// tell tells the wires apart: by what ALPN has agreed on over TLS, and else by the first bytes.
func (s *Server) tell(conn net.Conn) (_ net.Conn, what string, err error) {
	if s.tls != nil {
		told, what, err := s.shake(conn)
		if err != nil && s.c.NoHandshake != nil {
			s.c.NoHandshake(conn.RemoteAddr(), err)
		}
		return told, what, err
	}
	return sniff(conn)
}

// sniff reads what tells the wires apart, and gives back a connection that still begins with it.
func sniff(conn net.Conn) (_ net.Conn, first string, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(sniffTimeout)); err != nil {
		return nil, "", err
	}
	b := make([]byte, len(preface))
	if _, err := io.ReadFull(conn, b); err != nil {
		return nil, "", err
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, "", err
	}
	return &sniffedConn{Conn: conn, first: b}, string(b), nil
}

type sniffedConn struct {
	net.Conn
	first []byte
}

// Read implements net.Conn.
func (c *sniffedConn) Read(p []byte) (int, error) {
	if len(c.first) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.first)
	c.first = c.first[n:]
	return n, nil
}

// queue is a net.Listener whose connections come from elsewhere.
type queue struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newQueue(addr net.Addr) *queue {
	return &queue{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (q *queue) put(c net.Conn) {
	select {
	case q.conns <- c:
	case <-q.done:
		_ = c.Close()
	}
}

// Accept implements net.Listener.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (q *queue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

// Addr implements net.Listener.
func (q *queue) Addr() net.Addr { return q.addr }
