package rpc

import (
	"maps"
	"sync"
	"sync/atomic"

	"go-micro.dev/v4/client"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
)

// Local is the table of the servers in this process. A server that is given it is in it from Start until it has drained; a client that is
// given it calls those servers directly: no socket, no encoding. The zero Local is ready.
type Local struct {
	// Watch checks handlers that share memory with their callers; for tests. It makes their calls slow.
	Watch *Watch

	mu      sync.Mutex
	servers atomic.Pointer[map[string]*Server]
}

// add makes s the one that is called under its name; the first one stays.
func (l *Local) add(s *Server) {
	l.change(func(m map[string]*Server) {
		if m[s.c.Name] == nil {
			m[s.c.Name] = s
		}
	})
}

func (l *Local) remove(s *Server) {
	l.change(func(m map[string]*Server) {
		if m[s.c.Name] == s {
			delete(m, s.c.Name)
		}
	})
}

func (l *Local) change(f func(map[string]*Server)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := map[string]*Server{}
	if now := l.servers.Load(); now != nil {
		maps.Copy(next, *now)
	}
	f(next)
	l.servers.Store(&next)
}

// method finds a method of a server in this process; nil for health and reflection, and for what no contract knows.
func (l *Local) method(service string, info *methodInfo) (*Server, *method) {
	if l == nil {
		return nil, nil
	}
	table := l.servers.Load()
	if table == nil {
		return nil, nil
	}
	if d := info.direct.Load(); d != nil && d.table == table {
		return d.s, d.m
	}
	s := (*table)[service]
	if s == nil {
		return nil, nil
	}
	m := s.methods[info.path]
	if m == nil {
		m = s.methods[alias(info.path)]
	}
	info.direct.Store(&directly{table, s, m})
	return s, m
}

// local returns the server in this process that a call may go to directly, and the method there; nil when there is none. A call with an
// address of its own never does, nor one that is meant for other instances. While the server drains, calls go to other instances, if there
// are any.
func (c *Client) local(req client.Request, info *methodInfo, o *client.CallOptions, meant share) (*Server, *method) {
	s, m := c.c.Local.method(req.Service(), info)
	if m == nil || len(o.Address) > 0 || !meant.has(s.service.Nodes[0]) {
		return nil, nil
	}
	draining := s.draining.Load()
	if !draining && len(o.SelectOptions) == 0 {
		return s, m
	}
	t, err := c.target(req.Service())
	if err != nil {
		return nil, nil
	}
	here, others := false, false
	for _, n := range t.instances(*o) {
		if n.Address == s.service.Nodes[0].Address {
			here = true
		} else {
			others = true
		}
	}
	if draining && others || len(o.SelectOptions) > 0 && !here && !draining {
		return nil, nil
	}
	return s, m
}

// liveCall is a call or a stream that this process runs for itself.
type liveCall struct {
	ctx        callctx.Context
	prev, next *liveCall
}

// live holds the direct calls that run, so that a server can wait for them and cut them.
type live struct {
	mu    sync.Mutex
	shut  bool
	first *liveCall
	idle  chan struct{} // closed when it is shut and nothing runs
}

func newLive() *live { return &live{idle: make(chan struct{})} }

// begin says whether r may run.
func (l *live) begin(r *liveCall) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return false
	}
	if r.next = l.first; r.next != nil {
		r.next.prev = r
	}
	l.first = r
	return true
}

func (l *live) end(r *liveCall) {
	r.ctx.Cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		l.first = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	}
	r.prev, r.next = nil, nil // the handler may keep r.ctx
	if l.shut && l.first == nil {
		close(l.idle)
	}
}

// stop lets no further call begin. The channel is closed when the last one has ended.
func (l *live) stop() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.shut {
		l.shut = true
		if l.first == nil {
			close(l.idle)
		}
	}
	return l.idle
}

// cut ends the contexts of what runs.
func (l *live) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := l.first; r != nil; r = r.next {
		r.ctx.Cancel()
	}
}

// copied copies src into dst, which is new. Messages of one type share their strings, which nobody can change, and nothing else. Those of
// two descriptors of one type, such as a dynamic one, go through the encoding.
func copied(dst, src proto.Message) error {
	if dst.ProtoReflect().Descriptor() == src.ProtoReflect().Descriptor() {
		proto.Merge(dst, src)
		return nil
	}
	b, err := proto.MarshalOptions{AllowPartial: true}.Marshal(src)
	if err != nil {
		return err
	}
	return proto.UnmarshalOptions{AllowPartial: true}.Unmarshal(b, dst)
}
