package discoverytest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Agent is a Consul agent on ports of its own at 127.0.0.1.
type Agent struct {
	Address string // of its HTTP API
	GRPC    string // address of its gRPC port

	binary string
	mode   []string // its arguments beside the ports
	ports  []int
	mu     sync.Mutex
	cmd    *exec.Cmd
	ended  chan struct{}
	output *os.File
}

// StartConsul starts the binary that the environment variable CLEAVE_TEST_CONSUL names, waits until it takes
// registrations, and stops it with the test. The test fails when there is none. The agent keeps nothing: after a restart
// its catalogue is empty.
func StartConsul(t *testing.T) *Agent {
	t.Helper()
	return start(t, "-dev")
}

// StartDurableConsul is StartConsul for a server that knows after a restart what it knew before.
func StartDurableConsul(t *testing.T) *Agent {
	t.Helper()
	return start(t, "-server", "-bootstrap-expect=1", "-node=durable", "-data-dir="+t.TempDir(), "-hcl=performance { raft_multiplier = 1 }")
}

func start(t *testing.T, mode ...string) *Agent {
	t.Helper()
	binary := os.Getenv("CLEAVE_TEST_CONSUL")
	if binary == "" {
		t.Fatal("this test needs Consul: set CLEAVE_TEST_CONSUL to its binary (go -C consul build builds one; see the README)")
	}
	output, err := os.CreateTemp(t.TempDir(), "consul-*.log")
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{binary: binary, mode: mode, ports: FreePorts(t, 5), output: output}
	a.Address, a.GRPC = "127.0.0.1:"+strconv.Itoa(a.ports[0]), "127.0.0.1:"+strconv.Itoa(a.ports[4])
	t.Cleanup(func() {
		a.Kill()
		if t.Failed() {
			if b, err := os.ReadFile(output.Name()); err == nil {
				t.Logf("the end of Consul's log:\n%s", b[max(0, len(b)-4000):])
			}
		}
		output.Close()
	})
	a.Start(t)
	return a
}

// Start starts the agent again after Kill, on the same ports.
func (a *Agent) Start(t *testing.T) {
	t.Helper()
	port := func(i int) string { return strconv.Itoa(a.ports[i]) }
	args := append([]string{"agent", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=warn"}, a.mode...)
	cmd := exec.Command(a.binary, append(args,
		"-http-port="+port(0), "-server-port="+port(1), "-serf-lan-port="+port(2), "-serf-wan-port="+port(3), "-grpc-port="+port(4),
		"-grpc-tls-port=-1", "-dns-port=-1", "-hcl=ports { https = -1 }", "-hcl=disable_update_check = true")...)
	cmd.Stdout, cmd.Stderr = a.output, a.output
	if err := cmd.Start(); err != nil {
		t.Fatalf("start consul: %v", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	a.mu.Lock()
	a.cmd, a.ended = cmd, ended
	a.mu.Unlock()
	Eventually(t, 60*time.Second, func() error {
		select {
		case <-ended:
			t.Fatal("consul ended while it started")
		default:
		}
		return a.ready()
	})
}

// ready asks for a leader and for the agent's own node in the catalogue.
func (a *Agent) ready() error {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get("http://" + a.Address + "/v1/health/service/consul?passing")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(b), "consul") {
		return fmt.Errorf("consul answers %d %s", resp.StatusCode, b)
	}
	return nil
}

// Kill ends the agent at once, as a power cut would, and waits. A second call does nothing.
func (a *Agent) Kill() {
	a.mu.Lock()
	cmd, ended := a.cmd, a.ended
	a.cmd = nil
	a.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill() // it may have ended by itself
	<-ended
}

// Freeze stops the agent where it is: connections stay, answers do not come. Thaw lets it go on.
func (a *Agent) Freeze(t *testing.T) { a.signal(t, syscall.SIGSTOP) }

// Thaw is Freeze's inverse.
func (a *Agent) Thaw(t *testing.T) { a.signal(t, syscall.SIGCONT) }

func (a *Agent) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal consul: %v", err)
	}
}
