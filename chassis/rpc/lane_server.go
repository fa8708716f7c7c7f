package rpc

import (
	"context"
	"net"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
	"github.com/cleavehq/cleave/chassis/rpc/internal/lane"
)

// laneKey in an instance's metadata says that it knows the fast lane, docs/lane.md; its value is the version.
const (
	laneKey     = "lane"
	laneVersion = "1"
)

// streamWindow is how many bytes of a lane's stream may be on their way or wait for a reader.
const streamWindow = 256 << 10

// laneWire serves the connections of the fast lane.
type laneWire struct {
	service *lane.Service
	conf    lane.Config
	s       *Server

	mu       sync.Mutex
	conns    map[*lane.Server]struct{}
	draining bool
	all      sync.WaitGroup
}

func newLaneWire(s *Server) *laneWire {
	w := &laneWire{
		s: s, conns: map[*lane.Server]struct{}{},
		conf: lane.Config{MaxMessage: s.c.MaxMessage, MaxCalls: maxStreams, Window: streamWindow},
	}
	byPath := make(map[string]*laneMethod, len(s.methods))
	for path, m := range s.methods {
		byPath[path] = &laneMethod{s: s, m: m}
	}
	w.service = &lane.Service{Keys: s.keys, Workers: &s.workers, Incoming: arriving, Authorize: s.c.Authorize, Find: func(path []byte) lane.Method {
		m := byPath[string(path)]
		if m == nil {
			m = byPath[alias(string(path))]
		}
		if m == nil {
			return nil
		}
		return m
	}}
	if s.c.Admit != nil {
		w.service.Admit = func(ctx *callctx.Context, m lane.Method) (func(error), error) {
			l, ok := m.(*laneMethod)
			if !ok {
				return func(error) {}, nil
			}
			return s.admit(ctx, l.m, ctx.Get(priorityHeader))
		}
	}
	return w
}

// put serves a connection on its own goroutine.
func (w *laneWire) put(nc net.Conn) {
	conf := w.conf
	if w.s.conns != nil {
		conf.Context = context.WithValue(context.Background(), callctx.ConnKey{}, &callctx.Conn{Conn: nc, Keys: w.s.keys})
	}
	c := lane.NewServer(nc, conf, w.service)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining { // who connects now hasn't sent anything yet
		_ = nc.Close()
		return
	}
	w.conns[c] = struct{}{}
	w.all.Go(func() {
		if err := c.Serve(); err != nil {
			w.s.c.Log.Debug("a lane broke", "error", err)
		}
		w.mu.Lock()
		delete(w.conns, c)
		w.mu.Unlock()
	})
}

// drain tells every client to go away. all is done when their last calls are answered; when ctx ends first, they are cut.
func (w *laneWire) drain(ctx context.Context) {
	w.mu.Lock()
	w.draining = true
	for c := range w.conns {
		w.all.Go(func() { c.Drain(ctx) })
	}
	w.mu.Unlock()
}

// laneMethod is a method as the lane calls it.
type laneMethod struct {
	s *Server
	m *method
}

func (l *laneMethod) Streamed() bool { return l.m.streamed }

func (l *laneMethod) NewRequest() proto.Message { return newMessage(l.m.in) }

func (l *laneMethod) Unary(ctx *callctx.Context, in proto.Message) (proto.Message, error) {
	out := newMessage(l.m.out)
	if l.m.plain && l.s.conns == nil && ctx.Get(keyHeader) == "" {
		if err := l.s.plainly(ctx, l.m, in, out); err != nil {
			return nil, err
		}
		return out, nil
	}
	req := &request{service: l.s.c.Name, endpoint: l.m.name, call: ctx, body: in}
	if err := l.m.run(ctx, req, out); err != nil {
		return nil, err
	}
	return out, nil
}

func (l *laneMethod) Stream(ctx *callctx.Context, s *lane.Stream) error {
	req := &request{service: l.s.c.Name, endpoint: l.m.name, call: ctx, stream: true}
	return l.m.run(ctx, req, &serverStream{wire: laneMessages{s}, ctx: ctx, req: req})
}

// laneMessages are those of a lane's stream.
type laneMessages struct{ *lane.Stream }

func (l laneMessages) SendMsg(m any) error {
	msg, ok := m.(proto.Message)
	if !ok {
		return problem.InvalidArgument("BAD_MESSAGE", "a %T is not a proto message", m)
	}
	return l.Send(msg)
}

func (l laneMessages) RecvMsg(m any) error {
	msg, ok := m.(proto.Message)
	if !ok {
		return problem.InvalidArgument("BAD_MESSAGE", "a %T is not a proto message", m)
	}
	return l.Recv(msg)
}
