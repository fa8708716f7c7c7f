package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/bench/echo"
)

// The floor is the least that a multiplexed RPC over TCP can do: an id and a length before each message, writes together while there are
// some, a goroutine a request. No deadline, no metadata, no errors, no limits.

// floorWriter writes what many goroutines put.
type floorWriter struct {
	nc   net.Conn
	mu   sync.Mutex
	buf  []byte
	wake chan struct{}
}

func newFloorWriter(nc net.Conn) *floorWriter {
	w := &floorWriter{nc: nc, wake: make(chan struct{}, 1)}
	go w.run()
	return w
}

func (w *floorWriter) put(id uint32, m proto.Message) {
	w.mu.Lock()
	start := len(w.buf)
	w.buf = append(w.buf, make([]byte, 8)...)
	w.buf, _ = proto.MarshalOptions{}.MarshalAppend(w.buf, m)
	binary.LittleEndian.PutUint32(w.buf[start:], uint32(len(w.buf)-start-8)) //nolint:gosec // a length
	binary.LittleEndian.PutUint32(w.buf[start+4:], id)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *floorWriter) run() {
	var out []byte
	for range w.wake {
		runtime.Gosched()
		w.mu.Lock()
		out, w.buf = w.buf, out[:0]
		w.mu.Unlock()
		if _, err := w.nc.Write(out); err != nil {
			return
		}
	}
}

// frames calls f with each frame until the connection ends.
func frames(nc net.Conn, f func(id uint32, m *echo.Message)) {
	r := bufio.NewReaderSize(nc, 64<<10)
	var h [8]byte
	for {
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return
		}
		n := int(binary.LittleEndian.Uint32(h[:]))
		b, err := r.Peek(n)
		if err != nil {
			return
		}
		m := new(echo.Message)
		if proto.Unmarshal(b, m) != nil {
			return
		}
		_, _ = r.Discard(n)
		f(binary.LittleEndian.Uint32(h[4:]), m)
	}
}

func serveFloor() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as long as the process
	if err != nil {
		return "", err
	}
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			w := newFloorWriter(nc)
			go frames(nc, func(id uint32, in *echo.Message) {
				go func() {
					out := new(echo.Message)
					answer(in, out)
					w.put(id, out)
				}()
			})
		}
	}()
	return ln.Addr().String(), nil
}

func dialFloor(address string) (say, error) {
	nc, err := net.Dial("tcp", address) //nolint:noctx // as long as the process
	if err != nil {
		return nil, err
	}
	w := newFloorWriter(nc)
	var mu sync.Mutex
	var next uint32
	waiting := map[uint32]chan *echo.Message{}
	go frames(nc, func(id uint32, m *echo.Message) {
		mu.Lock()
		ch := waiting[id]
		delete(waiting, id)
		mu.Unlock()
		ch <- m
	})
	free := sync.Pool{New: func() any { return make(chan *echo.Message, 1) }}
	return func(_ context.Context, in *echo.Message) (*echo.Message, error) {
		ch, _ := free.Get().(chan *echo.Message)
		mu.Lock()
		next++
		id := next
		waiting[id] = ch
		mu.Unlock()
		w.put(id, in)
		out := <-ch
		free.Put(ch)
		return out, nil
	}, nil
}
