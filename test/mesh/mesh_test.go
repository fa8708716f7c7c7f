// Package mesh proves the mesh with the whole shop: a Consul that denies everything, least-privilege tokens, certificates that rotate.
package mesh

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/cleavehq/cleave/test/harness"
)

var binary harness.Bin //nolint:gochecknoglobals // built once for the package, TestMain removes it

func TestMain(m *testing.M) {
	code := m.Run()
	binary.Remove()
	os.Exit(code)
}

// bootstrap makes tokens and intentions, and returns the folder of the tokens.
func bootstrap(t *testing.T, bin string, consul *harness.Consul, dir string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), bin, "mesh", "bootstrap", "--registry", "consul", "--consul-addr", consul.Addr, "--dir", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func token(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func asks(t *testing.T, consul *harness.Consul, secret string) *api.Client {
	t.Helper()
	c, err := api.NewClient(&api.Config{Address: consul.Addr, Token: secret})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Every module, and the gateway, in a process of its own with a token that may do what that module needs: a visitor buys. What each token may
// not do is tried, and who has none is no part of it.
func TestTheShopInAConsulThatDeniesEverything(t *testing.T) {
	consul := harness.StartClosedConsul(t)
	bin := binary.Build(t)
	dir := filepath.Join(t.TempDir(), "tokens")
	bootstrap(t, bin, consul, dir)
	before := contents(t, dir)
	bootstrap(t, bin, consul, dir) // again
	if after := contents(t, dir); !bytes.Equal(before, after) {
		t.Error("bootstrap has changed what was good")
	}
	private(t, dir)

	s := harness.Meshed(t, bin, consul, dir)
	tell(t, s)
	healthy(t, asks(t, consul, token(t, dir, "viewer")))
	least(t, consul, dir)
	outsiders(t, s, consul, dir)

	// An intention that is taken back is in force at once, for connections that are there.
	manager := asks(t, consul, token(t, dir, "management"))
	deny := &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: "catalog", Sources: []*api.SourceIntention{{Name: "gateway", Action: api.IntentionActionDeny}}}
	if _, _, err := manager.ConfigEntries().Set(deny, nil); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 10*time.Second, "the gateway is refused", func() bool {
		status, err := s.Do(t.Context(), http.MethodGet, "/v1/products", nil, nil)
		return err == nil && status == http.StatusForbidden
	})
	harness.Eventually(t, 10*time.Second, "it is in the log", func() bool {
		out := s.Hosts["catalog"].Output()
		return strings.Contains(out, "reason=no_intention source=gateway destination=catalog")
	})
	metrics := page(t, "http://"+consulMeta(t, manager, "catalog", "admin")+"/metrics")
	if !strings.Contains(metrics, `mesh_denied_total{destination="catalog",reason="no_intention",source="gateway"}`) {
		t.Error("it isn't in the metrics")
	}
}

func contents(t *testing.T, dir string) []byte {
	t.Helper()
	var out []byte
	for _, e := range entries(t, dir) {
		out = append(out, token(t, dir, e.Name())...)
	}
	return out
}

func entries(t *testing.T, dir string) []fs.DirEntry {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil || len(list) == 0 {
		t.Fatalf("%d tokens, %v", len(list), err)
	}
	return list
}

func private(t *testing.T, dir string) {
	t.Helper()
	for _, e := range entries(t, dir) {
		if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func healthy(t *testing.T, c *api.Client) {
	t.Helper()
	for _, m := range append(harness.Modules(), "gateway") {
		list, _, err := c.Health().Service(m, "go-micro", true, nil)
		if err != nil || len(list) != 1 {
			t.Errorf("%s has %d instances that are well, %v", m, len(list), err)
		}
	}
}

// least tries what a module's token must not do.
func least(t *testing.T, consul *harness.Consul, dir string) {
	t.Helper()
	catalog := asks(t, consul, token(t, dir, "catalog"))
	for what, try := range map[string]func() error{
		"register another module": func() error {
			return catalog.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "payment", Port: 1, Address: "127.0.0.1"})
		},
		"another's certificate": func() error { _, _, err := catalog.Agent().ConnectCALeaf("payment", nil); return err },
		"a rule of the topology": func() error {
			_, err := catalog.KV().Put(&api.KVPair{Key: "cleave/topology/payment/current", Value: []byte("{}")}, nil)
			return err
		},
		"a key of the gateway": func() error {
			_, err := catalog.KV().Put(&api.KVPair{Key: "cleave/gateway/keys/x", Value: []byte("{}")}, nil)
			return err
		},
		"a setting": func() error { _, err := catalog.KV().Put(&api.KVPair{Key: "cleave/config/broker"}, nil); return err },
		"an intention": func() error {
			_, _, err := catalog.ConfigEntries().Set(&api.ServiceIntentionsConfigEntry{
				Kind: api.ServiceIntentions, Name: "catalog", Sources: []*api.SourceIntention{{Name: "*", Action: api.IntentionActionAllow}},
			}, nil)
			return err
		},
		"tokens": func() error { _, _, err := catalog.ACL().TokenList(nil); return err },
	} {
		if err := try(); err == nil {
			t.Errorf("the token of catalog may do this: %s", what)
		}
	}
	if pairs, _, err := catalog.KV().List("cleave/gateway/", nil); err == nil && len(pairs) > 0 {
		t.Error("the token of catalog may read the gateway's documents")
	}
	gateway := asks(t, consul, token(t, dir, "gateway"))
	if pairs, _, err := gateway.KV().List("cleave/gateway/", nil); err != nil || len(pairs) == 0 {
		t.Errorf("the gateway finds %d documents, %v", len(pairs), err)
	}
}

// outsiders are a command with no identity, and one whose token is another's.
func outsiders(t *testing.T, s *harness.System, consul *harness.Consul, dir string) {
	t.Helper()
	flags := []string{"call", "--registry", "consul", "--consul-addr", consul.Addr, "--consul-grpc", consul.GRPC}
	end := []string{"catalog", "Catalog.ListProducts", `{"page_size":1}`}
	p := s.Plain(slices.Concat(flags, []string{"--mesh", "--consul-token-file", filepath.Join(dir, "cleave-cli")}, end)...)
	if code := p.Wait(time.Minute); code != 0 {
		t.Errorf("the command with its own token: exit code %d\n%s", code, p.Output())
	}
	for name, more := range map[string][]string{
		"no identity":     {"--consul-token-file", filepath.Join(dir, "cleave-cli")},
		"another's token": {"--mesh", "--consul-token-file", filepath.Join(dir, "catalog")},
	} {
		p := s.Plain(slices.Concat(flags, more, end)...)
		if code := p.Wait(time.Minute); code == 0 {
			t.Errorf("a command with %s was served:\n%s", name, p.Output())
		}
	}
}

func consulMeta(t *testing.T, c *api.Client, service, key string) string {
	t.Helper()
	list, _, err := c.Health().Service(service, "", true, nil)
	if err != nil || len(list) == 0 {
		t.Fatalf("%s: %v", service, err)
	}
	return list[0].Service.Meta[key]
}

func page(t *testing.T, url string) string {
	t.Helper()
	rsp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(rsp.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// `cleave up --registry consul --mesh` does all of it on one machine: on a Consul that nobody has set up, and again when it comes back.
func TestUpDoesAllOfIt(t *testing.T) {
	consul := harness.StartClosedConsul(t)
	s := harness.OneProcess(t, binary.Build(t), consul, "--mesh", "--direct=false", "--allow-faults")
	tell(t, s)
	dir := filepath.Join(s.DataDir(), "consul", "tokens")
	private(t, dir)
	healthy(t, asks(t, consul, token(t, dir, "viewer")))
	out, err := exec.CommandContext(t.Context(), binary.Build(t), "call", "--registry", "consul", "--consul-addr", consul.Addr, "--consul-grpc", consul.GRPC, "--mesh",
		"--consul-token-file", filepath.Join(dir, "cleave-cli"), "payment", "Payment.ListPayments", "{}").Output()
	if err != nil || !json.Valid(out) {
		t.Errorf("%s, %v", out, err)
	}
	written(t, s, consulMeta(t, asks(t, consul, token(t, dir, "viewer")), "catalog", "admin"))
}

// written has the commands write what processes follow, with the token that was left for them, and sees it arrive in a process with its own.
func written(t *testing.T, s *harness.System, admin string) {
	t.Helper()
	for _, args := range [][]string{
		{"config", "set", "gateway.timeout", "7s"},
		{"resilience", "set", "shop.catalog.v1.Catalog/GetProduct", `{"timeout": "1234ms"}`},
		{"policy", "set", "shop.catalog.v1.Catalog/GetProduct", `{"timeout": "3s"}`},
		{"fault", "add", "latency", "cart", "--delay", "1ms", "--for", "1m"},
	} {
		if p := s.Start(append(args, "--mesh")...); p.Wait(time.Minute) != 0 {
			t.Errorf("cleave %q: %s", args, p.Output())
		}
	}
	product, _, _, _ := s.InStock(t)
	for path, want := range map[string]string{"/config": `"7s"`, "/resilience": "1.234s", "/faults": "latency-"} {
		harness.Eventually(t, 10*time.Second, path+" has what was written", func() bool {
			// A method takes what is new with its next call.
			s.Must(t, http.MethodGet, "/v1/products/"+product.ID, nil, nil)
			return strings.Contains(page(t, "http://"+admin+path), want)
		})
	}
}

// The ports of Consul speak TLS, its gossip has a key, and there is no way around: the shop runs, a module is extracted, and a command that doesn't know the
// authority, or speaks in the clear, gets nothing.
func TestAConsulThatSpeaksTLS(t *testing.T) {
	consul := harness.StartSecureConsul(t)
	s := harness.OneProcess(t, binary.Build(t), consul, "--mesh")
	dir := filepath.Join(s.DataDir(), "consul", "tokens")
	manager, err := api.NewClient(&api.Config{Address: "https://" + consul.Addr, Token: token(t, dir, "management"), TLSConfig: api.TLSConfig{CAFile: consul.CA}})
	if err != nil {
		t.Fatal(err)
	}
	healthy(t, manager)
	rings, err := manager.Operator().KeyringList(nil)
	if err != nil || len(rings) == 0 || len(rings[0].Keys) != 1 {
		t.Errorf("the keys of the gossip are %+v, %v", rings, err)
	}
	extract := s.Start("extract", "order", "--mesh", "--hold", "250ms")
	t.Cleanup(s.Extracted(extract))
	if code := extract.Wait(2 * time.Minute); code != 0 {
		t.Fatalf("extract: exit code %d:\n%s", code, extract.Output())
	}
	tell(t, s)
	for what, flags := range map[string][]string{
		"knows another authority": {"--consul-addr", "https://" + consul.Addr},
		"speaks in the clear":     {"--consul-addr", consul.Addr},
	} {
		p := s.Plain(slices.Concat([]string{"services", "--registry", "consul", "--mesh", "--consul-token-file", filepath.Join(dir, "cleave-cli")}, flags)...)
		if code := p.Wait(time.Minute); code != 5 {
			t.Errorf("a command that %s: exit code %d\n%s", what, code, p.Output())
		}
	}
}

func tell(t *testing.T, s *harness.System) {
	t.Helper()
	harness.Story(t, s.Client)
	harness.After(t, s.Client)
	harness.Errands(t, s.Client)
}
