package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/bench/echo"
	"github.com/cleavehq/cleave/bench/internal/child"
	"github.com/cleavehq/cleave/bench/internal/stat"
	"github.com/cleavehq/cleave/chassis/rpc"
)

// follow begins a stream, and returns how to receive its next message.
type follow func(ctx context.Context) (next func(*echo.Message) error, err error)

// feed is one way to stream: a server that sends the message as fast as it is taken, and counts it in sent.
type feed struct {
	serve func(sent *atomic.Int64) (address string, err error)
	dial  func(address string) (follow, error)
}

func feeds() map[string]feed {
	return map[string]feed{
		"cleave-lane": {serveFeedCleave, dialFeedCleave},
		"grpc-go":     {serveFeedGRPC, dialFeedGRPC},
	}
}

// feedNames are in the order of their turns.
func feedNames() []string { return []string{"cleave-lane", "grpc-go"} }

type feeder struct{ sent *atomic.Int64 }

func (f feeder) Follow(_ context.Context, in *echo.Message, st echo.Feed_FollowStream) error {
	return f.send(in, func(m *echo.Message) error { return st.Send(m) })
}

func (f feeder) send(in *echo.Message, send func(*echo.Message) error) error {
	for {
		if err := send(in); err != nil {
			return err
		}
		f.sent.Add(1)
	}
}

func serveFeedCleave(sent *atomic.Int64) (string, error) {
	s, err := rpc.NewServer(rpc.ServerConfig{
		Name: "feed", Contract: echo.File_feed_proto, Registry: registry.NewMemoryRegistry(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return "", err
	}
	if err := echo.RegisterFeedHandler(s, feeder{sent}); err != nil {
		return "", err
	}
	if err := s.Start(); err != nil {
		return "", err
	}
	return s.Address(), nil
}

func dialFeedCleave(address string) (follow, error) {
	reg, err := alone("feed", address)
	if err != nil {
		return nil, err
	}
	c, err := rpc.NewClient(rpc.ClientConfig{Registry: reg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	s := echo.NewFeedService("feed", client.Client(c))
	return func(ctx context.Context) (func(*echo.Message) error, error) {
		st, err := s.Follow(ctx, message())
		if err != nil {
			return nil, err
		}
		return func(m *echo.Message) error { return st.RecvMsg(m) }, nil
	}, nil
}

func serveFeedGRPC(sent *atomic.Int64) (string, error) {
	return servedGRPC(&grpc.ServiceDesc{
		ServiceName: "bench.echo.Feed", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "Follow", ServerStreams: true, Handler: func(_ any, st grpc.ServerStream) error {
			in := new(echo.Message)
			if err := st.RecvMsg(in); err != nil {
				return err
			}
			return feeder{sent}.send(in, func(m *echo.Message) error { return st.SendMsg(m) })
		}}},
		Metadata: "feed.proto",
	})
}

func dialFeedGRPC(address string) (follow, error) {
	c, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (func(*echo.Message) error, error) {
		st, err := c.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/bench.echo.Feed/Follow")
		if err != nil {
			return nil, err
		}
		if err := errors.Join(st.SendMsg(message()), st.CloseSend()); err != nil {
			return nil, err
		}
		return func(m *echo.Message) error { return st.RecvMsg(m) }, nil
	}, nil
}

// followed is the client's process of a turn of streams: it receives from n at once for d, and tells how many messages it got. With a d of 0
// it receives one message, and then reads no more until its input ends.
func followed(name, address, streams, duration string) error {
	n, err := strconv.Atoi(streams)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	f, err := feeds()[name].dial(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if d == 0 {
		return stalled(ctx, f)
	}
	type count struct {
		atomic.Int64
		_ [56]byte // a cache line of its own
	}
	got := make([]count, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		next, err := f(ctx)
		if err != nil {
			return err
		}
		all.Go(func() {
			m := new(echo.Message)
			for {
				if err := next(m); err != nil {
					if ctx.Err() == nil {
						errs[i] = err
					}
					return
				}
				got[i].Add(1)
			}
		})
	}
	sum := func() (n int) {
		for i := range got {
			n += int(got[i].Load())
		}
		return n
	}
	<-time.After(d / 4) // warms up
	return child.Begin(func() (any, error) {
		calls, before, start := sum(), stat.CPU(), time.Now()
		<-time.After(d)
		t := turn{Calls: sum() - calls, CPU: stat.CPU() - before, Took: time.Since(start)}
		cancel()
		all.Wait()
		return t, errors.Join(errs...)
	})
}

// held is what a process has in its memory, in bytes.
type held struct{ Heap uint64 }

func heap() held {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return held{m.HeapAlloc}
}

func stalled(ctx context.Context, f follow) error {
	before := heap()
	next, err := f(ctx)
	if err != nil {
		return err
	}
	if err := next(new(echo.Message)); err != nil {
		return err
	}
	child.Tell("ready")
	return child.Serve(func(string) (any, error) {
		after := heap()
		return held{after.Heap - min(before.Heap, after.Heap)}, nil
	})
}

// streamed lets the ways to stream take turns, with one stream and with many.
func streamed(at []int, rounds int, d time.Duration) (map[string]map[int][]turn, error) {
	out := map[string]map[int][]turn{}
	for r := range rounds {
		for _, c := range at {
			for _, n := range feedNames() {
				fmt.Fprintf(os.Stderr, "round %d of %d, %d streams, %s\n", r+1, rounds, c, n)
				var t turn
				used, err := beside([]string{"feed", n}, d, func(address string) []string {
					return []string{"follow", n, address, strconv.Itoa(c), d.String()}
				}, &t)
				if err != nil {
					return nil, fmt.Errorf("%s, %d streams: %w", n, c, err)
				}
				t.CPU += used
				if out[n] == nil {
					out[n] = map[int][]turn{}
				}
				out[n][c] = append(out[n][c], t)
			}
		}
	}
	return out, nil
}

// backlog is what is under way on one stream when its reader stops.
type backlog struct {
	Messages int64 // that Send took, and nobody read
	Bytes    int64 // of their encoding
	Reader   uint64
}

// full waits until a server can send no more to a reader that stopped. It is an error when it still sends after half a minute.
func full(name string) (b backlog, err error) {
	s, err := child.Start("feed", name)
	if err != nil {
		return b, err
	}
	defer s.Stop()
	address, err := s.Line(patience)
	if err != nil {
		return b, err
	}
	c, err := child.Start("follow", name, address, "1", "0s")
	if err != nil {
		return b, err
	}
	defer c.Stop()
	if _, err := c.Line(patience); err != nil {
		return b, err
	}
	last, same := int64(-1), 0
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); same < 3; <-tick.C {
		if time.Now().After(end) {
			return b, fmt.Errorf("%s: the sender goes on, %d messages ahead of a reader that stopped", name, last)
		}
		var u usage
		if err := s.Ask("", &u, patience); err != nil {
			return b, err
		}
		if same++; u.Sent != last {
			same = 0
		}
		last = u.Sent
	}
	var h held
	if err := c.Ask("", &h, patience); err != nil {
		return b, err
	}
	n := last - 1
	return backlog{n, n * int64(proto.Size(message())), h.Heap}, nil
}
