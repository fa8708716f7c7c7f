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
	"time"
)

// gateway is what may stand between wrk and the item.
type gateway struct {
	name string
	// command makes the files that it reads, and says how it is run so that it listens at address. A missing says why it can't be.
	command func(ctx context.Context, e *env, address string) ([]string, error)
	// parts says that the process has others that work for it.
	parts bool
}

// env is what all of them stand in.
type env struct {
	dir    string // for files
	domain string // of mDNS
	addresses
	build time.Duration // a peer may take at most to be built
	peer  string        // of the gateway that is started: a folder of its own
	admin string        // of the gateway that is started, where that has a listener for those who run it
}

// missing is why a gateway has no figures.
type missing struct{ why string }

func (m *missing) Error() string { return m.why }

const (
	direct = "direct"
	ours   = "cleave"
)

// gateways are all, the plain proxies first.
func gateways() []gateway {
	return []gateway{
		{name: direct},
		{name: "haproxy", command: haproxy},
		{name: "nginx", command: nginx, parts: true},
		{name: "caddy", command: caddy},
		{name: "traefik", command: traefik},
		{name: "krakend", command: krakend},
		{name: "grpc-gateway", command: transcoder("grpc-gateway")},
		{name: "vanguard", command: transcoder("vanguard")},
		{name: ours, command: cleave},
	}
}

func gatewayNames() []string {
	var out []string
	for _, g := range gateways() {
		out = append(out, g.name)
	}
	return out
}

func transcoder(name string) func(context.Context, *env, string) ([]string, error) {
	return func(_ context.Context, e *env, address string) ([]string, error) {
		self, err := os.Executable()
		return []string{self, name, address, e.GRPC}, err
	}
}

// installed finds a program of the system's.
func installed(name string) (string, error) {
	for _, dir := range []string{"", "/usr/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", &missing{"not installed: apt-get install " + name}
}

// peers are those that are built from modules of their own, bench/peers/NAME: their packages.
func peers() map[string]string {
	return map[string]string{"caddy": "github.com/caddyserver/caddy/v2/cmd/caddy", "traefik": "github.com/traefik/traefik/v3/cmd/traefik", "krakend": "."}
}

// built builds a peer, unless it is there already, for so long at most: what was compiled till then is kept, and the next time goes on from there.
func built(ctx context.Context, name string, within time.Duration) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(cache, "cleave-bench", name)
	module, err := bench(ctx)
	if err != nil {
		return "", err
	}
	sayf("build %s", name)
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	// Without tables for a debugger, which take half of the linker's time.
	c := exec.CommandContext(limited, "go", "-C", filepath.Join(module, "peers", name), "build", "-ldflags=-s -w", "-o", bin, peers()[name]) //nolint:gosec // ours
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }                                                                        // so that it ends its compilers
	c.WaitDelay = grace
	if out, err := c.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if limited.Err() != nil {
			return "", &missing{fmt.Sprintf("not built within %v; `go -C bench run ./edge -build` goes on with it", within)}
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return "", &missing{"does not build: " + lines[len(lines)-1]}
	}
	return bin, nil
}

// build builds the peers that a plan has, and nothing else. It goes on with the others when one fails.
func build(ctx context.Context, p plan) error {
	var failed error
	for _, name := range p.gateways {
		if _, is := peers()[name]; !is {
			continue
		}
		if _, err := built(ctx, name, p.build); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
		}
	}
	return failed
}

// bench is the folder of this module.
func bench(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("run this from its bench folder: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// cleave is ours, as it is shipped: every default protection is on.
func cleave(ctx context.Context, e *env, address string) (_ []string, err error) {
	bin := os.Getenv("CLEAVE_TEST_BINARY")
	if bin == "" {
		module, err := bench(ctx)
		if err != nil {
			return nil, err
		}
		sayf("build cleave")
		bin = filepath.Join(e.dir, "cleave")
		c := exec.CommandContext(ctx, "go", "build", "-o", bin, "./cmd/cleave") //nolint:gosec // ours
		c.Dir = filepath.Dir(module)                                            // with the versions that the product itself requires
		if out, err := c.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build cleave: %w\n%s", err, out)
		}
	}
	e.admin, err = free()
	return []string{bin, "gateway", "--admin-listen", e.admin, "--registry", "mdns", "--mdns-domain", e.domain, "--listen", address, "--data-dir", e.peer}, err
}

// free is an address that nobody listens on.
func free() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

func port(address string) string {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return p
}

func (e *env) write(name, text string) (string, error) {
	path := filepath.Join(e.peer, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

func isMissing(err error) (string, bool) {
	var m *missing
	if errors.As(err, &m) {
		return m.why, true
	}
	return "", false
}
