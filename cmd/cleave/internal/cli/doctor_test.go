package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/discovery"
	"github.com/cleavehq/cleave/chassis/discovery/discoverytest"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/chassis/host"
)

// patient is what the doctor looks at.
type patient struct {
	t       *testing.T
	dir     string
	modules []host.Module
	now     func() time.Time
	args    []string
}

func healthy(t *testing.T) *patient {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return &patient{t: t, dir: dir, args: []string{"--mdns-domain", "doctor-" + fmt.Sprint(time.Now().UnixNano()), "--listen", "127.0.0.1:0"}}
}

// wrong are the doctor's findings that something is wrong, by what it is wrong with, each with how to mend it.
func (p *patient) wrong() map[string]string {
	p.t.Helper()
	var out, talk bytes.Buffer
	code := Run(Env{
		Args: append([]string{"doctor", "-o", "json", "--data-dir", p.dir}, p.args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk,
		Modules: p.modules, Now: p.now,
	})
	var all []finding
	if err := json.Unmarshal(out.Bytes(), &all); err != nil || len(all) == 0 {
		p.t.Fatalf("exit code %d, %v: %s%s", code, err, &out, &talk)
	}
	found := map[string]string{}
	for _, f := range all {
		if f.OK {
			continue
		}
		if f.Mend == "" || f.Problem == "" {
			p.t.Errorf("it doesn't say what is wrong and how to mend it: %+v", f)
		}
		found[f.What] += f.Problem + "; " + f.Mend + "\n"
	}
	if (code == exitOK) != (len(found) == 0) {
		p.t.Errorf("exit code %d, and findings %v", code, found)
	}
	return found
}

// only wants one finding that holds some text.
func (p *patient) only(what, text string) {
	p.t.Helper()
	found := p.wrong()
	if len(found) != 1 || !strings.Contains(found[what], text) {
		p.t.Errorf("want %q with %q, got %v", what, text, found)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// free is an address that nothing listens on.
func free(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", discoverytest.FreePorts(t, 1)[0])
}

func TestTheDoctorFindsNothingWhereNothingIs(t *testing.T) {
	if found := healthy(t).wrong(); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

func TestTheDoctorLooksAtThisMachine(t *testing.T) {
	p := healthy(t)
	if err := os.Chmod(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p.only("data folder", "chmod 700")

	p = healthy(t)
	write(t, filepath.Join(p.dir, "file"), "")
	p.dir = filepath.Join(p.dir, "file")
	if found := p.wrong(); !strings.Contains(found["data folder"], "is no folder") {
		t.Errorf("found %v", found)
	}

	p = healthy(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() { // it speaks no HTTP
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	p.args = append(p.args, "--listen", ln.Addr().String())
	p.only("gateway port", "is taken, and not by a gateway")

	p = healthy(t)
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(p.dir, "hosts", "main.json"), fmt.Sprintf(`{"host":"main","pid":%d,"broker":"nats://127.0.0.1:1"}`, gone.Process.Pid))
	p.only("hosts of this machine", "which is gone")

	p = healthy(t)
	write(t, filepath.Join(p.dir, "config.json"), `{"value/gateway/timeout": "soon"}`)
	p.only("settings", "gateway.timeout")
}

func TestTheDoctorLooksAtDatabases(t *testing.T) {
	p := healthy(t)
	dir, m := stock(t, twoEvents)
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p.dir, p.modules = dir, []host.Module{m}
	p.only("outbox of stock", "1 events wait")

	p = healthy(t)
	write(t, filepath.Join(p.dir, "stock.db"), strings.Repeat("this is no database. ", 1000))
	p.modules = []host.Module{m}
	p.only("database of stock", "restore")

	p = healthy(t)
	p.modules = []host.Module{m}
	p.args = append(p.args, "--data-url", "postgres://me:hunter2@"+free(t)+"/shop")
	found := p.wrong()
	if text := found["database of stock"]; len(found) != 1 || !strings.Contains(text, "start the server") || strings.Contains(text, "hunter2") {
		t.Errorf("found %v", found)
	}
}

func TestTheDoctorLooksAtTheBroker(t *testing.T) {
	p := healthy(t)
	p.args = append(p.args, "--broker", "nats://"+free(t))
	p.only("broker", "start it there")
	p = healthy(t)
	p.args = append(p.args, "--broker", "amqp://"+free(t))
	p.only("broker", "start it there")

	p = healthy(t)
	s, err := events.StartEmbedded(events.EmbeddedConfig{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	_, mend := dying(t, s.URL())
	defer mend()
	p.args = append(p.args, "--broker", s.URL())
	p.only("dead letters", "no such SKU")
}

func TestTheDoctorLooksAtConsul(t *testing.T) {
	p := healthy(t)
	p.args = append(p.args, "--registry", "consul", "--consul-addr", free(t))
	p.only("Consul", "consul agent -dev")

	agent := discoverytest.StartConsul(t)
	p = healthy(t)
	p.args = append(p.args, "--registry", "consul", "--consul-addr", agent.Address)
	if found := p.wrong(); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	p.now = func() time.Time { return time.Now().Add(-90 * time.Second) }
	p.only("Consul clock", "ahead of this one")
	p.now = nil

	// A host that was killed, and is in the registry still.
	reg, err := discovery.NewConsul(discovery.ConsulConfig{Address: agent.Address})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reg.Close() }()
	dead := &registry.Service{Name: "cart", Version: "1", Nodes: []*registry.Node{{
		Id: "cart-1", Address: free(t), Metadata: map[string]string{"module": "cart", "host": "second", "admin": free(t), "protocol": "grpc", "check": "none"},
	}}}
	if err := reg.Register(dead); err != nil {
		t.Fatal(err)
	}
	discoverytest.Eventually(t, 20*time.Second, func() error {
		found := p.wrong()
		if text := found["host second"]; len(found) != 1 || !strings.Contains(text, "no answer") || !strings.Contains(text, "admin listener") {
			return fmt.Errorf("found %v", found)
		}
		return nil
	})
}

func TestTheDoctorLooksAtRightsAndLeaders(t *testing.T) {
	p := healthy(t)
	p.args = append(p.args, "--registry", "consul", "--consul-addr", consulWith(t, "-dev", `-hcl=acl { enabled = true, default_policy = "deny" }`))
	discoverytest.Eventually(t, 30*time.Second, func() error {
		if found := p.wrong(); !strings.Contains(found["Consul ACL"], "key_prefix") {
			return fmt.Errorf("found %v", found)
		}
		return nil
	})
	p = healthy(t)
	p.args = append(p.args, "--registry", "consul", "--consul-addr", consulWith(t, "-server", "-bootstrap-expect=3", "-data-dir="+t.TempDir()))
	discoverytest.Eventually(t, 30*time.Second, func() error {
		if found := p.wrong(); len(found) != 1 || !strings.Contains(found["Consul"], "has no leader") {
			return fmt.Errorf("found %v", found)
		}
		return nil
	})
}

// consulWith starts an agent that isn't well.
func consulWith(t *testing.T, mode ...string) string {
	t.Helper()
	ports := discoverytest.FreePorts(t, 4)
	args := append([]string{"agent"}, mode...)
	args = append(args, "-node=test", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=warn", "-grpc-port=-1", "-grpc-tls-port=-1", "-dns-port=-1")
	for i, name := range []string{"http", "serf-lan", "serf-wan", "server"} {
		args = append(args, fmt.Sprintf("-%s-port=%d", name, ports[i]))
	}
	cmd := exec.Command(os.Getenv("CLEAVE_TEST_CONSUL"), args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return fmt.Sprintf("127.0.0.1:%d", ports[0])
}
