package harness

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cleavehq/cleave/chassis/discovery/discoverytest"
)

// Consul is a real Consul agent, a process of its own.
type Consul struct {
	*Process
	Addr string // of its HTTP API
	GRPC string // address of its gRPC port
	CA   string // file of the authority of its ports; empty without TLS
	t    testing.TB
	args []string
	dir  string // of its data; empty when it keeps none

	scheme string
	client *http.Client
}

// StartConsul starts a development agent on free ports of loopback, and waits until it has a leader. It keeps nothing: a restart finds it
// empty. CLEAVE_TEST_CONSUL names the binary; without it the test fails.
func StartConsul(t testing.TB) *Consul {
	t.Helper()
	return startConsul(t, "", "-dev")
}

// StartDurableConsul starts a server that knows after a restart what it knew before, unless Lose was called.
func StartDurableConsul(t testing.TB) *Consul {
	t.Helper()
	dir := t.TempDir()
	return startConsul(t, dir, "-server", "-bootstrap-expect=1", "-data-dir="+dir, "-hcl=performance { raft_multiplier = 1 }")
}

// StartClosedConsul starts a development agent with the ACLs and the mesh of consul/agent-acl.hcl, and with more settings in HCL: nobody may do
// anything until it is told who.
func StartClosedConsul(t testing.TB, more ...string) *Consul {
	t.Helper()
	mode := closed(t)
	for _, m := range more {
		mode = append(mode, "-hcl="+m)
	}
	return startConsul(t, "", mode...)
}

func closed(t testing.TB) []string {
	t.Helper()
	return []string{"-dev", "-config-file=" + settings(t, "agent-acl.hcl")}
}

// settings is a file in consul/.
func settings(t testing.TB, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), "consul", name)
}

func startConsul(t testing.TB, dir string, mode ...string) *Consul {
	t.Helper()
	c := &Consul{scheme: "http", client: http.DefaultClient}
	c.start(t, dir, mode...)
	return c
}

func (c *Consul) start(t testing.TB, dir string, mode ...string) {
	t.Helper()
	bin := os.Getenv("CLEAVE_TEST_CONSUL")
	if bin == "" {
		t.Fatal("CLEAVE_TEST_CONSUL must name a Consul binary; `make test` builds one and sets it")
	}
	ports := discoverytest.FreePorts(t, 5)
	c.Addr, c.GRPC, c.t, c.dir = loopback(ports[0]), loopback(ports[4]), t, dir
	c.args = append([]string{bin, "agent"}, mode...)
	c.args = append(c.args, "-node=test", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=warn", "-dns-port=-1")
	names, none := []string{"http", "serf-lan", "serf-wan", "server", "grpc"}, []string{"grpc-tls"}
	if c.CA != "" {
		names[0], names[4], none = "https", "grpc-tls", []string{"http", "grpc"}
	}
	for i, name := range names {
		c.args = append(c.args, fmt.Sprintf("-%s-port=%d", name, ports[i]))
	}
	for _, name := range none {
		c.args = append(c.args, "-"+name+"-port=-1")
	}
	c.Restart()
}

// Lose deletes the data of a durable server that was killed.
func (c *Consul) Lose() {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.dir, "*"))
	if err != nil || c.dir == "" {
		c.t.Fatalf("there is no data to lose in %q: %v", c.dir, err)
	}
	for _, f := range files {
		if err := os.RemoveAll(f); err != nil {
			c.t.Fatal(err)
		}
	}
}

// Restart starts the agent anew, on the same ports, and waits until it has a leader. A development agent has nothing in its memory then.
func (c *Consul) Restart() {
	c.t.Helper()
	c.Process = Start(c.t, nil, c.args[0], c.args[1:]...)
	Eventually(c.t, 60*time.Second, "Consul elects itself", func() bool {
		var leader string
		return !c.Exited() && c.Get("/v1/status/leader", &leader) == nil && leader != ""
	})
}

// Get reads a path of Consul's HTTP API.
func (c *Consul) Get(path string, out any) error {
	rsp, err := c.client.Get(c.scheme + "://" + c.Addr + path)
	if err != nil {
		return err
	}
	defer func() { _ = rsp.Body.Close() }()
	b, err := io.ReadAll(rsp.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

// Passing returns the ids of a service's instances whose checks all pass.
func (c *Consul) Passing(service string) []string {
	var out []string
	for _, i := range c.Instances(service) {
		out = append(out, i.Service.ID)
	}
	return out
}

// Instance is one of a service, as Consul's UI shows it.
type Instance struct {
	Service struct {
		ID, Address string
		Port        int
		Tags        []string
		Meta        map[string]string
	}
}

// Instances returns a service's instances whose checks all pass.
func (c *Consul) Instances(service string) []Instance {
	var out []Instance
	if c.Get("/v1/health/service/"+service+"?passing", &out) != nil {
		return nil
	}
	return out
}
