package shop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

var (
	binary harness.Bin //nolint:gochecknoglobals // built once for the package, TestMain removes it
	nats   natsBin     //nolint:gochecknoglobals // the same
)

func TestMain(m *testing.M) {
	code := m.Run()
	binary.Remove()
	_ = os.RemoveAll(nats.dir)
	os.Exit(code)
}

// natsBin builds the NATS server, which is a dependency of the product: one that a test may kill.
type natsBin struct {
	once sync.Once
	dir  string
	err  error
}

func (b *natsBin) build(t testing.TB) string {
	t.Helper()
	b.once.Do(func() {
		if b.dir, b.err = os.MkdirTemp("", "nats-bin-"); b.err != nil { //nolint:usetesting // it outlives the test that builds it
			return
		}
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", b.dir, "github.com/nats-io/nats-server/v2").CombinedOutput()
		if err != nil {
			b.err = fmt.Errorf("build nats-server: %w\n%s", err, out)
		}
	})
	if b.err != nil {
		t.Fatal(b.err)
	}
	return filepath.Join(b.dir, "nats-server")
}

// The processes that run modules, and which. Those that the checkout calls are alone.
func layout() map[string]string {
	return map[string]string{"order": "order", "payment": "payment", "inventory": "inventory", "rest": "catalog,pricing,cart,fulfilment"}
}

func modules() []string {
	return []string{"catalog", "pricing", "cart", "fulfilment", "inventory", "payment", "order"}
}

// world is a whole shop in real processes: Consul, NATS, PostgreSQL, the hosts, the gateway, and a bank that none of them can kill.
type world struct {
	*harness.Client
	t        *testing.T
	bin      string
	bank     string // folder of the test provider
	db       *postgres
	consul   *harness.Consul
	nats     *harness.Process
	natsArgs []string
	natsAddr string
	hosts    map[string]*harness.Process
	gateway  *harness.Process
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, bin: binary.Build(t), bank: t.TempDir(), db: startPostgres(t), consul: harness.StartConsul(t),
		natsAddr: harness.FreeAddr(t), hosts: map[string]*harness.Process{},
	}
	host, port, _ := strings.Cut(w.natsAddr, ":")
	w.natsArgs = []string{nats.build(t), "-a", host, "-p", port, "-js", "-sd", t.TempDir()}
	w.startNATS()
	for _, name := range names() {
		w.start(name, "")
	}
	addr := harness.FreeAddr(t)
	w.Client = harness.NewClient(addr)
	w.Key = harness.NewKey(t, w.bin, "--registry", "consul", "--consul-addr", w.consul.Addr)
	w.gateway = harness.Start(t, nil, w.bin, "gateway", "--listen", addr, "--registry", "consul", "--consul-addr", w.consul.Addr)
	w.wait()
	w.stock()
	return w
}

func names() []string { return []string{"rest", "inventory", "payment", "order"} }

func (w *world) startNATS() { w.nats = harness.Start(w.t, nil, w.natsArgs[0], w.natsArgs[1:]...) }

// start runs a host, with failpoints or without.
func (w *world) start(name, failpoints string) {
	w.t.Helper()
	w.hosts[name] = harness.Start(w.t, []string{"CLEAVE_TEST_PROVIDER_DIR=" + w.bank, "CLEAVE_FAILPOINTS=" + failpoints}, w.bin, "run",
		"--modules", layout()[name], "--registry", "consul", "--consul-addr", w.consul.Addr, "--broker", "nats://"+w.natsAddr, "--data-url", w.db.url,
		"--log-level", "warn")
}

// wait waits until the gateway leads to every module.
func (w *world) wait() {
	w.t.Helper()
	harness.Eventually(w.t, 90*time.Second, "the gateway routes to every module", func() bool {
		return w.Ready(w.t.Context(), "/v1/products", "/v1/stock", "/v1/orders", "/v1/payments", "/v1/coupons", "/v1/fulfilments")
	})
}

type object = map[string]any

// What is sold: plenty of some, and a coupon.
const (
	coupon   = "TEN"
	plenty   = 1_000_000
	unit     = 1000 // the price of each, in minor units
	scarce   = "SCARCE"
	soldOut  = "SOLD-OUT"
	currency = "EUR"
)

func skus() []string { return []string{"MUG", "POT", "TEA", "TRAY"} }

func (w *world) stock() {
	w.t.Helper()
	var stock []object
	for _, sku := range append(skus(), scarce, soldOut) {
		n := map[string]int{scarce: 10, soldOut: 0}
		have, limited := n[sku]
		if !limited {
			have = plenty
		}
		w.Must(w.t, http.MethodPost, "/v1/products", object{
			"handle": strings.ToLower(sku), "title": sku, "status": "PRODUCT_STATUS_ACTIVE",
			"variants": []object{{"sku": sku, "price": object{"currency": currency, "minor": unit}}},
		}, nil)
		stock = append(stock, object{"sku": sku, "onHand": have})
	}
	w.Must(w.t, http.MethodPost, "/v1/stock:batchSet", object{"stock": stock}, nil)
	w.Must(w.t, http.MethodPost, "/v1/coupons", object{"code": coupon, "basisPoints": 1000}, nil)
}

// law is what `cleave verify` says of one.
type law struct {
	Check  string   `json:"check"`
	Broken int      `json:"broken"`
	Cases  []string `json:"cases"`
}

// verify runs `cleave verify` and returns the broken laws. What is under way has so long to end.
func (w *world) verify(t *testing.T, wait time.Duration) []law {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), w.bin, "verify", "--data-url", w.db.url, "--wait", wait.String(), "-o", "json")
	cmd.Env = append(os.Environ(), "CLEAVE_TEST_PROVIDER_DIR="+w.bank)
	var talk strings.Builder
	cmd.Stderr = &talk
	out, err := cmd.Output()
	var all []law
	if jerr := json.Unmarshal(out, &all); jerr != nil || len(all) < 50 {
		t.Fatalf("cleave verify: %v, %v, %d laws\n%s\n%s", err, jerr, len(all), talk.String(), out)
	}
	return slices.DeleteFunc(all, func(l law) bool { return l.Broken == 0 })
}
