package harness

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Modules are the names of the shop's modules.
func Modules() []string {
	return []string{"catalog", "inventory", "pricing", "payment", "cart", "order", "fulfilment", "customer", "notification", "webhook"}
}

// routes are paths, one of each module, that the gateway documents as soon as it routes to it.
func routes() []string {
	return []string{
		"/v1/products", "/v1/stock", "/v1/quotes", "/v1/payments", "/v1/carts", "/v1/orders", "/v1/fulfilments", "/v1/customers",
		"/v1/notifications", "/v1/webhook-endpoints",
	}
}

// System is a running shop: processes and the gateway that leads to them.
type System struct {
	*Client
	Consul  *Consul             // nil without one
	Gateway *Process            // in one process: the whole system
	Hosts   map[string]*Process // by module, with one process per module

	t       testing.TB
	bin     string
	common  []string // flags that every process takes
	dataDir string
	key     string // that may do everything
	tokens  string // folder of those for Consul; empty without ACLs
}

// OneProcess starts `cleave up` on the embedded defaults, with a folder of its own. The registry is mdns, or consul. More flags may
// choose another broker and another database.
func OneProcess(t testing.TB, bin string, consul *Consul, flags ...string) *System {
	t.Helper()
	return OneProcessAt(t, bin, consul, FreeAddr(t), flags...)
}

// OneProcessAt is OneProcess with a gateway at an address that was chosen before.
func OneProcessAt(t testing.TB, bin string, consul *Consul, addr string, flags ...string) *System {
	t.Helper()
	s := &System{t: t, bin: bin, Consul: consul, dataDir: t.TempDir()}
	if consul != nil {
		s.common = []string{"--registry", "consul", "--consul-addr", consul.Addr, "--consul-grpc", consul.GRPC}
		if consul.CA != "" {
			s.common = append(s.common, "--consul-ca", consul.CA)
		}
	} else { // a domain of its own: other shops may run on this machine
		s.common = []string{"--mdns-domain", "test-" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	}
	s.Client = NewClient(addr)
	s.Gateway = Start(t, nil, bin, slices.Concat([]string{"up", "--data-dir", s.dataDir, "--listen", addr}, s.common, flags)...)
	Eventually(t, time.Minute, "there is a key for the admin", func() bool {
		if s.Gateway.Exited() {
			t.Fatalf("the process ended:\n%s", s.Gateway.Output())
		}
		text, err := os.ReadFile(filepath.Join(s.dataDir, "admin.key"))
		s.Key = strings.TrimSpace(string(text))
		return err == nil && s.Key != ""
	})
	s.wait(s.Gateway)
	Eventually(t, time.Minute, "the sample shop is loaded", func() bool { return strings.Contains(s.Gateway.Output(), " is up.") })
	return s
}

// Distributed starts one process per module and one for the gateway, over Consul and an external NATS, and loads the sample shop.
func Distributed(t testing.TB, bin string, consul *Consul) *System {
	t.Helper()
	s := &System{t: t, bin: bin, Consul: consul, Hosts: map[string]*Process{}, dataDir: t.TempDir()}
	s.common = []string{"--registry", "consul", "--consul-addr", consul.Addr, "--consul-grpc", consul.GRPC}
	for _, m := range Modules() {
		s.Hosts[m] = s.Run(m)
	}
	s.key = NewKey(t, bin, s.common...)
	s.StartGateway()
	s.wait(s.Gateway)
	s.Import()
	return s
}

// Meshed is Distributed in a mesh: each process has the token that is in the file of its name in the folder tokens, and no more.
func Meshed(t testing.TB, bin string, consul *Consul, tokens string) *System {
	t.Helper()
	s := &System{t: t, bin: bin, Consul: consul, Hosts: map[string]*Process{}, dataDir: t.TempDir(), tokens: tokens}
	s.common = []string{"--registry", "consul", "--consul-addr", consul.Addr, "--consul-grpc", consul.GRPC, "--mesh"}
	for _, m := range Modules() {
		s.Hosts[m] = s.Run(m)
	}
	s.key = NewKey(t, bin, append(s.token("cleave-cli"), s.common...)...)
	s.StartGateway()
	s.wait(s.Gateway)
	s.Import()
	return s
}

// token is the flag that gives a process its token.
func (s *System) token(name string) []string {
	if s.tokens == "" {
		return nil
	}
	return []string{"--consul-token-file", filepath.Join(s.tokens, name)}
}

// Split starts a host called main with every module and a broker inside, and the gateway in a process of its own, over Consul, and loads the
// sample shop: every one of them can die alone.
func Split(t testing.TB, bin string, consul *Consul) *System {
	t.Helper()
	s := &System{t: t, bin: bin, Consul: consul, Hosts: map[string]*Process{}, dataDir: t.TempDir()}
	s.common = []string{"--registry", "consul", "--consul-addr", consul.Addr, "--consul-grpc", consul.GRPC}
	s.StartMain()
	s.key = NewKey(t, bin, s.common...)
	s.StartGateway()
	s.wait(s.Gateway)
	s.Import()
	return s
}

// StartMain starts the host of Split, again after it has died.
func (s *System) StartMain() {
	s.t.Helper()
	args := []string{"run", "--modules", strings.Join(Modules(), ","), "--host", "main", "--broker", "embedded", "--data-dir", s.dataDir}
	s.Hosts["main"] = Start(s.t, nil, s.bin, append(args, s.common...)...)
}

// RestartGateway starts the gateway again after it has died, where it was.
func (s *System) RestartGateway() {
	s.t.Helper()
	addr := strings.TrimPrefix(s.Base, "http://")
	s.Gateway = Start(s.t, nil, s.bin, append([]string{"gateway", "--listen", addr}, s.common...)...)
}

// Run starts a host with one module on the system's own data.
func (s *System) Run(module string) *Process {
	s.t.Helper()
	args := append([]string{"run", "--modules", module, "--data-dir", s.dataDir}, append(s.token(module), s.common...)...)
	return Start(s.t, nil, s.bin, append(args, "--broker", Env("CLEAVE_TEST_NATS", "nats://127.0.0.1:4222"))...)
}

// StartGateway starts the gateway in a process of its own.
func (s *System) StartGateway() {
	s.t.Helper()
	addr := FreeAddr(s.t)
	s.Client = NewClient(addr)
	s.Key = s.key
	s.Gateway = Start(s.t, nil, s.bin, slices.Concat([]string{"gateway", "--listen", addr}, s.token("gateway"), s.common)...)
}

// NewKey makes an API key that may do everything, with `cleave apikey create`; flags say where the keys are.
func NewKey(t testing.TB, bin string, flags ...string) string {
	t.Helper()
	var talk strings.Builder
	create := exec.Command(bin, append([]string{"apikey", "create", "test", "--scope", "*"}, flags...)...)
	create.Stderr = &talk
	text, err := create.Output()
	if err != nil {
		t.Fatalf("make an API key: %v\n%s", err, talk.String())
	}
	return strings.TrimSpace(string(text))
}

// DataDir is where a system of one process, or of SQLite, has its data.
func (s *System) DataDir() string { return s.dataDir }

// Start starts another command of the binary, on the system's own registry and data.
func (s *System) Start(args ...string) *Process {
	s.t.Helper()
	return s.StartWith(nil, args...)
}

// Plain starts a command of the binary with the arguments alone.
func (s *System) Plain(args ...string) *Process {
	s.t.Helper()
	return Start(s.t, nil, s.bin, args...)
}

// StartWith is Start with environment variables besides ("NAME=value").
func (s *System) StartWith(env []string, args ...string) *Process {
	s.t.Helper()
	return Start(s.t, env, s.bin, slices.Concat(args, s.common, []string{"--data-dir", s.dataDir})...)
}

// started is what extract says of the host that it has started.
var started = regexp.MustCompile(`process (\d+),`)

// Pid is the process of the host that extract has started; 0 when it says nothing of one, or not yet.
func Pid(extract *Process) int {
	m := started.FindStringSubmatch(extract.Output())
	if m == nil {
		return 0
	}
	pid, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return pid
}

// Extracted returns what kills the host that extract has started by then, if it still runs: it outlives the command.
func (s *System) Extracted(extract *Process) (kill func()) {
	return func() {
		if pid := Pid(extract); pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone
		}
	}
}

// Import loads the sample shop with `cleave shop import --sample`.
func (s *System) Import() { s.ImportFrom("--sample") }

// ImportFrom loads a file with `cleave shop import`.
func (s *System) ImportFrom(file string) {
	s.t.Helper()
	p := Start(s.t, nil, s.bin, slices.Concat([]string{"shop", "import", file}, s.token("cleave-cli"), s.common)...)
	Eventually(s.t, time.Minute, "the shop is loaded", p.Exited)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		s.t.Fatalf("shop import: exit code %d\n%s", code, p.Output())
	}
}

func (s *System) wait(p *Process) {
	s.t.Helper()
	Eventually(s.t, time.Minute, "the gateway routes to every module", func() bool {
		if p.Exited() {
			s.t.Fatalf("the process ended:\n%s", p.Output())
		}
		var doc struct {
			Paths map[string]json.RawMessage `json:"paths"`
		}
		if status, err := s.Do(s.t.Context(), http.MethodGet, "/openapi.json", nil, &doc); err != nil || status != http.StatusOK {
			return false
		}
		for _, path := range routes() {
			if doc.Paths[path] == nil {
				return false
			}
		}
		return s.Ready(s.t.Context())
	})
}
