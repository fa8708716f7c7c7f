package rpc

import (
	"maps"
	"math"
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

// some says whether there are servers in this process.
func (l *Local) some() bool { return l != nil && l.servers.Load() != nil }

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
	for _, n := range t.instances(o) {
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

// live counts the direct calls and streams that run, so that a server can wait for them.
type live struct {
	n    atomic.Int64 // once it is shut, so many more than shut
	once sync.Once    // it is shut
	done sync.Once
	idle chan struct{} // closed when it is shut and nothing runs
}

const shut = math.MinInt64

func newLive() *live { return &live{idle: make(chan struct{})} }

// begin says whether another one may run.
func (l *live) begin() bool {
	if l.n.Add(1) > 0 {
		return true
	}
	l.less()
	return false
}

// end is of one that began, and of its context.
func (l *live) end(ctx *callctx.Context) {
	ctx.Cancel()
	l.less()
}

func (l *live) less() { l.emptied(l.n.Add(-1)) }

func (l *live) emptied(n int64) {
	if n == shut {
		l.done.Do(func() { close(l.idle) })
	}
}

// stop lets no further call begin. The channel is closed when the last one has ended.
func (l *live) stop() <-chan struct{} {
	l.once.Do(func() { l.emptied(l.n.Add(shut)) })
	return l.idle
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
