// Package resilience shows what the chassis' resilience is for: that a failure doesn't spread, and that an overload costs nobody more than
// what is too much.
package resilience

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/test/harness"
)

var binary harness.Bin //nolint:gochecknoglobals // built once for the package, TestMain removes it

func TestMain(m *testing.M) {
	code := m.Run()
	binary.Remove()
	os.Exit(code)
}

// full says that the proof takes the time that it wants: `make prove-resilience`.
func full() bool { return os.Getenv("CLEAVE_PROVE_RESILIENCE") == "full" }

// What users do besides buying, and how long they wait.
const (
	readRate = 40.0        // of each of the two pages, a second
	within   = time.Second // a page that comes later is of no use
	patience = 35 * time.Second
)

// phase is a part of a run.
type phase struct {
	name  string
	lasts time.Duration
	token string
	load  float64 // times what the shop can do
}

func phases() []phase {
	if full() {
		return []phase{{"well", 20 * time.Second, "tok_visa", 1}, {"slow", 30 * time.Second, "tok_slow_5000", 2}, {"stopped", 30 * time.Second, "tok_visa", 2}}
	}
	return []phase{{"well", 2 * time.Second, "tok_visa", 1}, {"slow", 2 * time.Second, "tok_slow_5000", 2}, {"stopped", 3 * time.Second, "tok_visa", 2}}
}

// seen is what users noticed in a phase.
type seen struct {
	list, cart, buy tape
}

// shop is a running one.
type shop struct {
	*harness.System
	reads, buyers *http.Client
	sku, cart     string
	admin         string // of one process
}

// start starts a process for each module, and fills the shelves.
func start(t *testing.T) *shop {
	t.Helper()
	s := &shop{System: harness.Distributed(t, binary.Build(t), harness.StartConsul(t)), reads: newClient(patience), buyers: newClient(patience)}
	_, s.sku, _, _ = s.InStock(t)
	s.Must(t, http.MethodPost, "/v1/stock:batchSet", map[string]any{"stock": []any{map[string]any{"sku": s.sku, "onHand": 1_000_000}}}, nil)
	s.cart = s.NewCart(t, s.sku, 2)
	return s
}

// buy makes a cart, puts something in, and checks out.
func (s *shop) buy(ctx context.Context, token string) answer {
	begin := time.Now()
	var raw []byte
	var cart struct {
		ID string `json:"id"`
	}
	if a := ask(ctx, s.buyers, http.MethodPost, s.Base+"/v1/carts", "{}", &raw); a.status != http.StatusOK || json.Unmarshal(raw, &cart) != nil {
		return answer{a.status, time.Since(begin)}
	}
	if a := ask(ctx, s.buyers, http.MethodPost, s.Base+"/v1/carts/"+cart.ID+"/items", fmt.Sprintf(`{"sku":%q,"quantity":1}`, s.sku), nil); a.status != http.StatusOK {
		return answer{a.status, time.Since(begin)}
	}
	address, err := json.Marshal(harness.Address())
	if err != nil {
		return answer{}
	}
	body := fmt.Sprintf(`{"cartId":%q,"email":"ada@example.com","paymentToken":%q,"shippingAddress":%s,"requestId":%q}`,
		cart.ID, token, address, uuid.Must(uuid.NewV7()))
	a := ask(ctx, s.buyers, http.MethodPost, s.Base+"/v1/orders", body, nil)
	return answer{a.status, time.Since(begin)}
}

// run puts the shop under load, and breaks its payments meanwhile. rate is of the checkouts that it can do in a second.
func (s *shop) run(t *testing.T, rate float64) map[string]*seen {
	t.Helper()
	out := map[string]*seen{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var waits []func()
	for _, p := range phases() {
		now := &seen{}
		out[p.name] = now
		if p.name == "stopped" {
			s.Hosts["payment"].Signal(syscall.SIGSTOP)
		}
		var sending sync.WaitGroup
		var mu sync.Mutex
		begin := func(rate float64, send func(context.Context)) {
			sending.Go(func() {
				wait := open(ctx, rate, p.lasts, send)
				mu.Lock()
				waits = append(waits, wait)
				mu.Unlock()
			})
		}
		begin(rate*p.load, func(ctx context.Context) { now.buy.add(s.buy(ctx, p.token)) })
		begin(readRate, func(ctx context.Context) {
			now.list.add(ask(ctx, s.reads, http.MethodGet, s.Base+"/v1/products?page_size=20", "", nil))
		})
		begin(readRate, func(ctx context.Context) {
			now.cart.add(ask(ctx, s.reads, http.MethodGet, s.Base+"/v1/carts/"+s.cart, "", nil))
		})
		sending.Wait()
	}
	// Reads are given their time; buyers who still wait then are cut off.
	done := make(chan struct{})
	go func() {
		for _, w := range waits {
			w()
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		stop()
		<-done
	}
	s.Hosts["payment"].Signal(syscall.SIGCONT)
	return out
}

// sustainable is how many checkouts a second the shop does.
func (s *shop) sustainable(t *testing.T) float64 {
	t.Helper()
	during := 2 * time.Second
	if full() {
		during = 10 * time.Second
	}
	s.buy(t.Context(), "tok_visa")
	return closed(t.Context(), 8, during, func(ctx context.Context) bool { return s.buy(ctx, "tok_visa").status == http.StatusOK })
}

// A payment that is slow, and then hangs, is the trouble of those who pay, and of nobody else.
func TestAFailureDoesNotSpread(t *testing.T) {
	arms := []string{"on"}
	if full() {
		arms = append(arms, "off")
	}
	runs := map[string]map[string]*seen{}
	var rate float64
	for _, arm := range arms {
		t.Setenv("CLEAVE_RESILIENCE", arm)
		s := start(t)
		if rate == 0 {
			rate = s.sustainable(t)
			harness.Figure(t, "cascade_checkouts_sustained", rate, 1e6, "1/s")
		}
		runs[arm] = s.run(t, rate)
		if arm == "on" {
			s.counted(t)
		}
		s.end()
	}
	fmt.Printf("table %-8s %-8s %-13s %8s %8s %10s %12s\n", "defaults", "payment", "page", "sent/s", "good/s", "p99", "failed p50")
	for _, arm := range arms {
		for _, p := range phases() {
			now := runs[arm][p.name]
			for _, page := range []struct {
				name string
				tape *tape
			}{{"product list", &now.list}, {"cart", &now.cart}, {"checkout", &now.buy}} {
				sent, good, p99 := page.tape.count(within)
				fmt.Printf("table %-8s %-8s %-13s %8.1f %8.1f %10s %12s\n", arm, p.name, page.name, float64(sent)/p.lasts.Seconds(), float64(good)/p.lasts.Seconds(),
					p99.Round(time.Millisecond), percentile(page.tape.failed(), 0.5).Round(time.Millisecond))
			}
		}
	}
	told := func(arm string) float64 { return percentile(runs[arm]["stopped"].buy.failed(), 0.5).Seconds() }
	harness.Figure(t, "cascade_checkout_told_after", told("on"), 1e6, "s")
	if runs["off"] != nil {
		harness.Figure(t, "cascade_off_checkout_told_after", told("off"), 1e6, "s")
	}
	worst := 0.0
	for _, page := range []string{"list", "cart"} {
		kept, slower := compare(runs["on"]["well"], runs["on"], page)
		harness.Figure(t, "cascade_"+page+"_kept", kept, 100, "%")
		harness.Figure(t, "cascade_"+page+"_p99_ratio", slower, 1e6, "x")
		if off, ok := runs["off"]; ok {
			kept, slower := compare(runs["on"]["well"], off, page)
			harness.Figure(t, "cascade_off_"+page+"_kept", kept, 100, "%")
			worst = max(worst, slower)
		}
	}
	if len(arms) > 1 {
		harness.Figure(t, "cascade_off_p99_ratio", worst, 1e6, "x") // of the page that suffered more
	}
	if path := os.Getenv("CLEAVE_CASCADE_SVG"); path != "" && full() {
		if err := os.WriteFile(path, picture(runs), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (n *seen) page(name string) *tape {
	if name == "list" {
		return &n.list
	}
	return &n.cart
}

// compare says which share of the pages that were sent came in time while the payments were ill, of the share that did with the defaults while
// they were well; and how many times longer the 99th percentile was. The worse of the two illnesses counts.
func compare(well *seen, run map[string]*seen, page string) (kept, slower float64) {
	sent, good, p99 := well.page(page).count(within)
	share := float64(good) / float64(max(sent, 1))
	kept = 100
	for _, ill := range []string{"slow", "stopped"} {
		sent, good, now := run[ill].page(page).count(within)
		kept = min(kept, 100*float64(good)/float64(max(sent, 1))/max(share, 0.01))
		slower = max(slower, float64(now)/float64(max(p99, time.Millisecond)))
	}
	return kept, slower
}

// end stops the processes, so that the next arm has the machine for itself.
func (s *shop) end() {
	for _, h := range s.Hosts {
		h.Kill()
	}
	s.Gateway.Kill()
	s.Consul.Kill()
}

// counted adds up what every process says of its first attempts and its retries.
func (s *shop) counted(t *testing.T) {
	t.Helper()
	var calls, retries, hedges float64
	seen := map[string]bool{}
	for _, name := range append(harness.Modules(), "gateway") {
		for _, i := range s.Consul.Instances(name) {
			at := i.Service.Meta["admin"]
			if at == "" || seen[at] {
				continue
			}
			seen[at] = true
			var raw []byte
			if a := ask(t.Context(), s.reads, http.MethodGet, "http://"+at+"/metrics", "", &raw); a.status != http.StatusOK {
				continue // the one that was stopped may have left
			}
			calls += sum(string(raw), "rpc_client_first_attempts_total")
			retries += sum(string(raw), "rpc_client_retries_total")
			hedges += sum(string(raw), `resilience_hedges_total`)
		}
	}
	if len(seen) < len(harness.Modules())-1 {
		t.Errorf("%d processes told what they sent", len(seen))
	}
	harness.Figure(t, "cascade_first_attempts", calls, 1e12, "calls")
	harness.Figure(t, "cascade_retries", retries+hedges, 0.2*calls+100*float64(len(seen)*len(harness.Modules())), "calls")
}

// sum adds the values of a counter, of all labels.
func sum(text, name string) (total float64) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") {
			continue
		}
		var v float64
		if i := strings.LastIndexByte(line, ' '); i > 0 {
			if _, err := fmt.Sscan(line[i:], &v); err == nil {
				total += v
			}
		}
	}
	return total
}
