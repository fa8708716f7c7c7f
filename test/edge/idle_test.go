package edge

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/cleavehq/cleave/test/harness"
)

// TestIdleConnectionsAreCheap opens as many connections as the gateway takes, each of which asks once and then does nothing, and measures the
// memory of its process: over HTTP/1.1, and over HTTP/2.
func TestIdleConnectionsAreCheap(t *testing.T) {
	n := 1000
	if full() {
		n = 10_000
	}
	enough(t, n)
	harness.Figure(t, "edge_idle_connections", float64(n), 1e9, "connections")
	for _, c := range []struct {
		name  string
		ask   func(net.Conn) error
		limit float64 // bytes of memory, of the process, for each
	}{{"h1", ask1, 32 << 10}, {"h2", ask2, 64 << 10}} {
		t.Run(c.name, func(t *testing.T) {
			g := startGateway(t)
			before := g.memory(t)
			g.open(t, n, c.ask)
			after, open := g.memory(t), g.metric(t, "process_open_fds")
			if open < float64(n) {
				t.Errorf("only %g files are open, of %d connections", open, n)
			}
			harness.Figure(t, "edge_idle_connection_bytes_"+c.name, float64(after-before)/float64(n), c.limit, "bytes")
			if full() {
				g.refuses(t)
			}
		})
	}
}

// enough fails the test when this process may not open so many files.
func enough(t *testing.T, n int) {
	t.Helper()
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Cur < uint64(n)+200 {
		t.Fatalf("%d connections need a limit of open files of %d and more; it is %d (ulimit -Hn): %v", n, n+200, files.Cur, err)
	}
}

// lonely is a gateway with nothing behind it.
type lonely struct {
	*harness.Process
	address, admin string
	conns          []net.Conn
}

func startGateway(t *testing.T, flags ...string) *lonely {
	t.Helper()
	g := &lonely{address: harness.FreeAddr(t), admin: harness.FreeAddr(t)}
	g.Process = harness.Start(t, nil, binary.Build(t), append([]string{
		"gateway", "--listen", g.address, "--admin-listen", g.admin, "--data-dir", t.TempDir(),
		"--mdns-domain", "test-" + strconv.FormatInt(time.Now().UnixNano(), 36),
	}, flags...)...)
	t.Cleanup(func() {
		for _, c := range g.conns {
			_ = c.Close()
		}
	})
	harness.Eventually(t, time.Minute, "the gateway answers", func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.address)
		if err != nil {
			return false
		}
		defer func() { _ = c.Close() }()
		return len(flags) > 0 || ask1(c) == nil // with TLS, that it can be reached has to do
	})
	return g
}

// open opens connections, many at a time: on a busy machine the first would have been idle for too long before the last is open.
func (g *lonely) open(t *testing.T, n int, ask func(net.Conn) error) {
	t.Helper()
	const atOnce = 64
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed error
	for worker := range atOnce {
		all.Go(func() {
			for i := worker; i < n; i += atOnce {
				c, err := (&net.Dialer{Timeout: 20 * time.Second}).DialContext(t.Context(), "tcp", g.address)
				if err == nil {
					err = ask(c)
				}
				mu.Lock()
				if c != nil {
					g.conns = append(g.conns, c)
				}
				if err != nil {
					failed = fmt.Errorf("after %d connections: %w", len(g.conns), err)
				}
				stop := failed != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	all.Wait()
	if failed != nil {
		t.Fatal(failed)
	}
}

// refuses checks that one connection more than the gateway takes is not served, until another one goes.
func (g *lonely) refuses(t *testing.T) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	answer := make(chan error, 1)
	go func() { answer <- ask1(c) }()
	select {
	case err := <-answer:
		t.Errorf("one more than the limit is served: %v", err)
		return
	case <-time.After(500 * time.Millisecond): // that long nothing came: there is no event to wait for
	}
	_ = g.conns[0].Close()
	if err := <-answer; err != nil {
		t.Errorf("after one went: %v", err)
	}
}

// memory is what the process has of the machine's, in bytes.
func (g *lonely) memory(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kib, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// metric is a value of /metrics on the process's own listener.
func (g *lonely) metric(t *testing.T, name string) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.admin+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	lines := bufio.NewScanner(rsp.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

const patience = time.Minute

// ask1 asks once over HTTP/1.1.
func ask1(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: edge\r\n\r\n"); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/healthz", http.NoBody)
	if err != nil {
		return err
	}
	rsp, err := http.ReadResponse(bufio.NewReader(c), req)
	if err != nil {
		return err
	}
	defer func() { _ = rsp.Body.Close() }()
	if _, err := io.Copy(io.Discard, rsp.Body); err != nil || rsp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, %w", rsp.StatusCode, err)
	}
	return nil
}

// ask2 asks once over HTTP/2 in the clear, with prior knowledge, frame by frame: a client of a library's would need more memory than the server.
func ask2(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		return err
	}
	var head bytes.Buffer
	enc := hpack.NewEncoder(&head)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "edge"}, {":path", "/healthz"}} {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return err
		}
	}
	frames := http2.NewFramer(c, c)
	if err := frames.WriteSettings(); err != nil {
		return err
	}
	if err := frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true, EndStream: true}); err != nil {
		return err
	}
	for {
		f, err := frames.ReadFrame()
		if err != nil {
			return err
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = frames.WriteSettingsAck()
			}
		case *http2.GoAwayFrame:
			err = fmt.Errorf("%v", f)
		case *http2.DataFrame:
			if f.StreamEnded() {
				go pong(c)
				return c.SetDeadline(time.Time{})
			}
		}
		if err != nil {
			return err
		}
	}
}

// pong answers the pings of a connection until it is closed: the gateway closes one that doesn't, and on a busy machine the first would be gone
// before the last is open.
func pong(c net.Conn) {
	var head [9]byte // of a frame (RFC 9113, 4.1)
	for {
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		size := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if http2.FrameType(head[3]) != http2.FramePing || head[4]&byte(http2.FlagPingAck) != 0 {
			if _, err := io.CopyN(io.Discard, c, size); err != nil {
				return
			}
			continue
		}
		frame := append(make([]byte, 0, len(head)+8), head[:]...)[:len(head)+8]
		if _, err := io.ReadFull(c, frame[len(head):]); err != nil {
			return
		}
		frame[4] = byte(http2.FlagPingAck)
		if _, err := c.Write(frame); err != nil {
			return
		}
	}
}
