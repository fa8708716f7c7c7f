package datatest

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Way is a way to a database server that can be cut.
type Way struct {
	to  string
	mu  sync.Mutex
	cut bool
	all []net.Conn
}

// Through returns a URL of the same database that leads through a Way, until the test ends.
func Through(t testing.TB, database string) (*Way, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal("the database's URL is none")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Way{to: u.Host}
	t.Cleanup(func() {
		_ = ln.Close()
		w.Cut(true)
	})
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			w.join(c)
		}
	}()
	u.Host = ln.Addr().String()
	return w, u.String()
}

func (w *Way) join(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		_ = c.Close()
		return
	}
	s, err := net.Dial("tcp", w.to)
	if err != nil {
		_ = c.Close()
		return
	}
	w.all = append(w.all, c, s)
	for _, pair := range [][2]net.Conn{{c, s}, {s, c}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			_ = pair[0].Close()
		}()
	}
}

// Cut closes every connection, and takes none until it is called with false.
func (w *Way) Cut(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if !cut {
		return
	}
	for _, c := range w.all {
		_ = c.Close()
	}
	w.all = nil
}
