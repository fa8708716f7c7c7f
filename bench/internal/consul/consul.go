// Package consul runs a real Consul agent for a benchmark.
package consul

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Agent is a development agent of its own, on free ports of loopback and with its data in memory. Stop it.
type Agent struct {
	Addr string // of its HTTP API
	cmd  *exec.Cmd
	done chan struct{}
}

// startWait bounds the time until it has elected itself.
const startWait = time.Minute

// Start starts the binary that CLEAVE_TEST_CONSUL names, which `make` builds and sets.
func Start(ctx context.Context) (*Agent, error) {
	bin := os.Getenv("CLEAVE_TEST_CONSUL")
	if bin == "" {
		return nil, errors.New("CLEAVE_TEST_CONSUL must name a Consul binary; `make bin/consul` builds one")
	}
	ports, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	a := &Agent{Addr: "127.0.0.1:" + ports[0], done: make(chan struct{})}
	a.cmd = exec.Command(bin, "agent", "-dev", "-node=bench", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=error", //nolint:gosec,noctx // Stop ends it
		"-http-port="+ports[0], "-serf-lan-port="+ports[1], "-serf-wan-port="+ports[2], "-server-port="+ports[3],
		"-grpc-port=-1", "-grpc-tls-port=-1", "-dns-port=-1", "-hcl=limits { http_max_conns_per_client = 1000 }")
	a.cmd.Stderr = os.Stderr
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us: we end it
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = a.cmd.Wait()
		close(a.done)
	}()
	if err := a.ready(ctx); err != nil {
		a.Stop()
		return nil, err
	}
	return a, nil
}

// freePorts holds them until it has all of them, so that they differ.
func freePorts(n int) ([]string, error) {
	var ports []string
	var held []net.Listener
	var errs []error
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed soon
		if err != nil {
			errs = append(errs, err)
			continue
		}
		held = append(held, ln)
		_, port, err := net.SplitHostPort(ln.Addr().String())
		ports, errs = append(ports, port), append(errs, err)
	}
	for _, ln := range held {
		errs = append(errs, ln.Close())
	}
	return ports, errors.Join(errs...)
}

func (a *Agent) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if leader, err := a.get(ctx, "/v1/status/leader"); err == nil && strings.Contains(leader, ":") {
			return nil
		}
		select {
		case <-a.done:
			return fmt.Errorf("Consul ended: %v", a.cmd.ProcessState) //nolint:staticcheck // a name
		case <-ctx.Done():
			return fmt.Errorf("Consul has no leader after %s", startWait) //nolint:staticcheck // a name
		case <-tick.C:
		}
	}
}

func (a *Agent) get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.Addr+path, nil)
	if err != nil {
		return "", err
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = rsp.Body.Close() }()
	b, err := io.ReadAll(rsp.Body)
	return string(b), err
}

// PID is the agent's.
func (a *Agent) PID() int { return a.cmd.Process.Pid }

// Stop ends it and waits for it.
func (a *Agent) Stop() {
	_ = a.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	t := time.AfterFunc(20*time.Second, func() { _ = a.cmd.Process.Kill() })
	defer t.Stop()
	<-a.done
}
