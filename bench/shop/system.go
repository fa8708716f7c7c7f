package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// system is a running shop.
type system struct {
	engine string
	client *client
	skus   []string
	cmd    *exec.Cmd
	done   chan struct{}
	log    string   // the file that it writes to
	data   []string // flags that say where its data is
	bin    string
	drop   func() error
}

func build(ctx context.Context, dir string) (string, error) {
	if b := os.Getenv("CLEAVE_TEST_BINARY"); b != "" {
		return b, nil
	}
	sayf("build cleave")
	const product = "github.com/cleavehq/cleave"
	at, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", product).Output()
	if err != nil {
		return "", fmt.Errorf("find the product: run this from its bench folder: %w", err)
	}
	bin := filepath.Join(dir, "cleave")
	c := exec.CommandContext(ctx, "go", "build", "-o", bin, product+"/cmd/cleave") //nolint:gosec // a path of ours
	c.Dir = strings.TrimSpace(string(at))                                          // with the versions that the product itself requires
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build cleave: %w\n%s", err, out)
	}
	return bin, nil
}

// open starts both shops. What it returns is to be closed, also when there is an error.
func open(ctx context.Context, bin, dir string) ([]*system, error) {
	url, drop, err := database(ctx)
	if err != nil {
		return nil, err
	}
	var shops []*system
	for _, engine := range []string{"sqlite", "postgres"} {
		s := &system{engine: engine, bin: bin, log: filepath.Join(dir, engine+".log"), data: []string{"--data-dir", filepath.Join(dir, engine)}}
		s.drop = func() error { return nil }
		if engine == "postgres" {
			s.data, s.drop = append(s.data, "--data-url", url), drop
		}
		shops = append(shops, s)
	}
	var all sync.WaitGroup
	errs := make([]error, len(shops))
	for i, s := range shops {
		all.Go(func() {
			if err := s.start(ctx); err != nil {
				errs[i] = fmt.Errorf("%s: %w", s.engine, err)
			}
		})
	}
	all.Wait()
	return shops, errors.Join(errs...)
}

func (s *system) start(ctx context.Context) error {
	sayf("start the shop on %s", s.engine)
	addr, err := freeAddr(ctx)
	if err != nil {
		return err
	}
	log, err := os.Create(s.log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	// A domain of its own: other shops may run on this machine.
	domain := fmt.Sprintf("bench-%s-%d", s.engine, os.Getpid())
	args := append([]string{"up", "--listen", addr, "--mdns-domain", domain, "--log-level", "warn"}, s.data...)
	s.cmd = exec.Command(s.bin, args...) //nolint:gosec,noctx // our binary; close ends it, in good order
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us: we end it
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	s.done = make(chan struct{})
	go func() {
		_ = s.cmd.Wait()
		close(s.done)
	}()
	s.client = newClient(addr)
	if err := until(ctx, time.Minute, s.up); err != nil {
		return fmt.Errorf("it doesn't come up: %w\n%s", err, s.said())
	}
	s.skus, err = s.client.fill(ctx)
	return err
}

// up says whether the shop has loaded its sample and answers.
func (s *system) up(ctx context.Context) (bool, error) {
	select {
	case <-s.done:
		return false, errors.New("the process has ended")
	default:
	}
	if !strings.Contains(s.said(), " is up.") {
		return false, nil
	}
	if s.client.key == "" {
		key, err := os.ReadFile(filepath.Join(s.data[1], "admin.key"))
		if err != nil {
			return false, err
		}
		s.client.key = strings.TrimSpace(string(key))
	}
	for _, path := range []string{"/readyz", "/v1/products", "/v1/stock", "/v1/orders", "/v1/payments"} {
		if s.client.do(ctx, "GET", path, nil, nil) != nil {
			return false, nil //nolint:nilerr // not yet
		}
	}
	return true, nil
}

// said is the end of what the process wrote.
func (s *system) said() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}

// told is an error of a turn, with what the process said last.
func (s *system) told(buyers int, err error) error {
	said := s.said()
	if strings.Contains(said, "SQLSTATE 53300") {
		said += "PostgreSQL had no connection left. Its max_connections is too low for this shop with so many buyers.\n"
	}
	return fmt.Errorf("%s, %d buyers: %w\n%s", s.engine, buyers, err, said)
}

// verify has the product check the laws of its data.
func (s *system) verify(ctx context.Context) error {
	sayf("cleave verify on %s", s.engine)
	out, err := exec.CommandContext(ctx, s.bin, append([]string{"verify", "--wait", "30s"}, s.data...)...).CombinedOutput() //nolint:gosec // our binary
	if err != nil {
		return fmt.Errorf("cleave verify on %s: %w\n%s", s.engine, err, out)
	}
	return nil
}

// close stops the process in good order and drops its databases.
func (s *system) close() (err error) {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-s.done:
		case <-time.After(30 * time.Second):
			err = fmt.Errorf("%s: still there 30 s after SIGTERM", s.engine)
			_ = s.cmd.Process.Kill()
			<-s.done
		}
		if code := s.cmd.ProcessState.ExitCode(); err == nil && code != 0 {
			err = fmt.Errorf("%s: %v\n%s", s.engine, s.cmd.ProcessState, s.said())
		}
	}
	return errors.Join(err, s.drop())
}

func freeAddr(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// until asks every 20 ms until ok says so or fails.
func until(ctx context.Context, limit time.Duration, ok func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if yes, err := ok(ctx); yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
