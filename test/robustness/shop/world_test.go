package shop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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

// shape is what a world is made of.
type shape struct {
	name   string // of the rows of its table
	sqlite bool   // a file for each module, else PostgreSQL
	alone  bool   // every module and the gateway in one process, which finds itself by mdns and has its own NATS
	ring   bool   // three Consul servers, else one
	disk   int    // MiB: what the files and NATS are kept on is a disk of its own, so small; 0 for the machine's
}

// everything is the host of a world that is alone, otherOrder a second one that runs orders.
const (
	everything = "all"
	otherOrder = "another order"
)

// The processes that run modules, and which. Those that the checkout calls are alone.
func layout(s shape) map[string]string {
	if s.alone {
		return map[string]string{everything: ""}
	}
	return map[string]string{"order": "order", "payment": "payment", "inventory": "inventory", "rest": "catalog,pricing,cart,fulfilment"}
}

func modules() []string {
	return []string{"catalog", "pricing", "cart", "fulfilment", "inventory", "payment", "order"}
}

// world is a whole shop in real processes: Consul, NATS, the databases, the hosts, the gateway, and a bank that none of them can kill.
type world struct {
	*harness.Client
	shape
	t        *testing.T
	bin      string
	addr     string // of the gateway
	bank     string // folder of the test provider
	data     string // folder of the SQLite files and of NATS
	small    *disk  // that data is on; nil when it is the machine's
	db       *postgres
	consul   *harness.Consul // nil when there are three, or none
	ring     *ring
	nats     *harness.Process
	natsArgs []string
	flags    []string // that every host takes
	layout   map[string]string
	env      map[string][]string // of each host, for as long as it is set
	hosts    map[string]*harness.Process
	gateway  *harness.Process
	products map[string]string // ids by SKU
	timeline timeline
	form     string // of what is played
	replay   bool   // it is a kept seed, played again
}

func open(t *testing.T, s shape) *world {
	t.Helper()
	w := &world{
		t: t, shape: s, bin: binary.Build(t), addr: harness.FreeAddr(t), bank: t.TempDir(), layout: layout(s), env: map[string][]string{},
		hosts: map[string]*harness.Process{}, products: map[string]string{},
	}
	w.timeline.begin = time.Now()
	w.Client = harness.NewClient(w.addr)
	if s.disk > 0 {
		w.small = mount(t, s.disk)
		w.data = w.small.dir
	} else {
		w.data = t.TempDir()
	}
	if s.sqlite {
		w.flags = []string{"--data-dir", w.data}
	} else {
		w.db = startPostgres(t)
		w.flags = []string{"--data-url", w.db.url}
	}
	if s.alone {
		w.flags = append(w.flags, "--listen", w.addr, "--no-sample", "--mdns-domain", "shop-"+strconv.FormatInt(time.Now().UnixNano(), 36))
		w.Key = harness.NewKey(t, w.bin, "--data-dir", w.data)
	} else {
		w.join()
	}
	for _, name := range w.names() {
		w.start(name, "")
	}
	w.wait()
	w.stock()
	return w
}

// join starts what hosts find and hear each other by, and the gateway.
func (w *world) join() {
	w.t.Helper()
	var at string
	if w.shape.ring {
		w.ring = startRing(w.t)
		at = w.ring.follower()
	} else {
		w.consul = harness.StartConsul(w.t)
		at = w.consul.Addr
	}
	registry := []string{"--registry", "consul", "--consul-addr", at}
	addr := harness.FreeAddr(w.t)
	host, port, _ := strings.Cut(addr, ":")
	// Told how much it may keep, it doesn't look how large the disk is.
	conf := filepath.Join(w.t.TempDir(), "nats.conf")
	text := fmt.Sprintf("jetstream { store_dir: %q, max_file_store: 16GB }\n", filepath.Join(w.data, "nats"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.natsArgs = []string{nats.build(w.t), "-a", host, "-p", port, "-c", conf}
	w.startNATS()
	w.flags = append(append(w.flags, registry...), "--broker", "nats://"+addr)
	w.Key = harness.NewKey(w.t, w.bin, registry...)
	w.gateway = harness.Start(w.t, nil, w.bin, append([]string{"gateway", "--listen", w.addr}, registry...)...)
}

// names are the hosts, in one order.
func (w *world) names() []string {
	var out []string
	for _, name := range []string{everything, "rest", "inventory", "payment", "order", otherOrder} {
		if _, ok := w.layout[name]; ok {
			out = append(out, name)
		}
	}
	return out
}

// host is where a module runs: in a world that is alone, where all do.
func (w *world) host(name string) string {
	if w.alone {
		return everything
	}
	return name
}

// there is a command that runs where the world's data is.
func (w *world) there(command ...string) []string {
	if w.small == nil {
		return command
	}
	return w.small.enter(command)
}

func (w *world) startNATS() {
	args := w.there(w.natsArgs...)
	w.nats = harness.Start(w.t, nil, args[0], args[1:]...)
}

// start runs a host, with failpoints or without.
func (w *world) start(name, failpoints string) {
	w.t.Helper()
	w.timeline.notef("start %s %s %s", name, failpoints, strings.Join(w.env[name], " "))
	env := append([]string{"CLEAVE_TEST_PROVIDER_DIR=" + w.bank, "CLEAVE_FAILPOINTS=" + failpoints}, w.env[name]...)
	args := []string{w.bin, "run", "--modules", w.layout[name]}
	if w.alone {
		args = []string{w.bin, "up"}
	}
	args = w.there(slices.Concat(args, w.flags, []string{"--log-level", "warn"})...)
	w.hosts[name] = harness.Start(w.t, env, args[0], args[1:]...)
}

// wait waits until the gateway leads to every module.
func (w *world) wait() {
	w.t.Helper()
	harness.Eventually(w.t, 90*time.Second, "the gateway routes to every module", func() bool {
		for name, host := range w.hosts {
			if host.Exited() {
				w.t.Fatalf("%s has ended:\n%s", name, host.Output())
			}
		}
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
	moody    = "MOODY" // its price changes
	currency = "EUR"
)

func skus() []string { return []string{"MUG", "POT", "TEA", "TRAY"} }

func (w *world) stock() {
	w.t.Helper()
	var stock []object
	for _, sku := range append(skus(), scarce, soldOut, moody) {
		n := map[string]int{scarce: 10, soldOut: 0}
		have, limited := n[sku]
		if !limited {
			have = plenty
		}
		var product harness.Product
		w.Must(w.t, http.MethodPost, "/v1/products", object{
			"handle": strings.ToLower(sku), "title": sku, "status": "PRODUCT_STATUS_ACTIVE",
			"variants": []object{{"sku": sku, "price": object{"currency": currency, "minor": unit}}},
		}, &product)
		w.products[sku] = product.ID
		stock = append(stock, object{"sku": sku, "onHand": have})
	}
	w.Must(w.t, http.MethodPost, "/v1/stock:batchSet", object{"stock": stock}, nil)
	w.Must(w.t, http.MethodPost, "/v1/coupons", object{"code": coupon, "basisPoints": 1000}, nil)
}

// law is what `cleave verify` says of one.
type law struct {
	Check  string   `json:"check"`
	Law    string   `json:"law"`
	Broken int      `json:"broken"`
	Cases  []string `json:"cases"`
}

// verify runs `cleave verify` and returns the broken laws. What is under way has so long to end.
func (w *world) verify(t *testing.T, wait time.Duration) []law {
	t.Helper()
	args := []string{w.bin, "verify", "--wait", wait.String(), "-o", "json"}
	if w.sqlite {
		args = append(args, "--data-dir", w.data)
	} else {
		args = append(args, "--data-url", w.db.url)
	}
	args = w.there(args...)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
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
