package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/netutil"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// Start listens, serves and registers. A registry that doesn't answer is no reason to fail: the registration is tried again until it
// holds, and logged.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != fresh {
		return errors.New("rpc: a server starts once")
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", s.c.Address)
	if err != nil {
		return fmt.Errorf("rpc: listen for %s: %w", s.c.Name, err)
	}
	toGRPC, toMicro := newQueue(ln.Addr()), newQueue(ln.Addr())
	if s.grpc, err = s.newGRPC(); err == nil {
		s.wire, err = s.startMicro(toMicro)
	}
	if err == nil {
		s.service, err = s.registration(ln.Addr())
	}
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	s.listener, s.state = ln, running
	s.health.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)

	s.loops.Go(func() {
		if err := s.grpc.Serve(toGRPC); err != nil {
			s.c.Log.Error("serve gRPC", "error", err)
		}
	})
	if !s.c.NoLane {
		s.lane = newLaneWire(s)
	}
	s.loops.Go(func() { s.accept(netutil.LimitListener(ln, s.c.MaxConns), toGRPC, toMicro) })
	if s.c.Local != nil {
		s.c.Local.add(s)
	}
	s.register()
	s.loops.Go(s.stayRegistered)
	return nil
}

// Stop is Shutdown with 30 s.
func (s *Server) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return s.Shutdown(ctx)
}

// Shutdown drains the server: it leaves the registry, goes on serving for DrainWait so that callers notice, lets running calls finish,
// and closes. When ctx ends first, what still runs is cut, and ctx's error returned. A second call waits for the first one.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	was := s.state
	s.state = ended
	s.mu.Unlock()
	switch was {
	case fresh:
		close(s.stopped)
		return nil
	case ended:
		select {
		case <-s.stopped:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	case running:
	}
	defer close(s.stopped)

	close(s.stopping)
	s.draining.Store(true)
	s.deregister()
	s.health.Shutdown() // NOT_SERVING, to those who ask the instance itself
	wait(ctx, s.c.DrainWait)

	drained := make(chan struct{})
	go func() {
		defer close(drained)
		direct := s.live.stop()
		if s.lane != nil {
			s.lane.drain(ctx)
		}
		s.grpc.GracefulStop()
		s.wire.drain(ctx)
		<-direct
		if s.lane != nil {
			s.lane.all.Wait()
		}
	}()
	select {
	case <-drained:
	case <-ctx.Done():
		s.keys.CancelJoined()
		s.grpc.Stop()
		<-drained
	}
	if s.c.Local != nil {
		s.c.Local.remove(s)
	}
	s.workers.Close()
	err := errors.Join(ctx.Err(), s.wire.close(), ignoreClosed(s.listener.Close()))
	s.loops.Wait()
	if err != nil {
		return fmt.Errorf("rpc: stop %s: %w", s.c.Name, err)
	}
	return nil
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
