// Package move takes modules out of a running shop and back while customers buy, and counts what they notice.
package move

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

var binary harness.Bin //nolint:gochecknoglobals // built once for the package, TestMain removes it

func TestMain(m *testing.M) {
	code := m.Run()
	binary.Remove()
	os.Exit(code)
}

// rounds is how often each module goes and comes back: CLEAVE_TEST_MOVES, or once.
func rounds(t *testing.T) int {
	text := harness.Env("CLEAVE_TEST_MOVES", "1")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("CLEAVE_TEST_MOVES is %q", text)
	}
	return n
}

// modules are those that the proof is about: one that calls others, one that is called, and one that everybody reads.
func modules() []string { return []string{"order", "payment", "catalog"} }

func TestModulesMoveWhileCustomersBuy(t *testing.T) {
	s := harness.OneProcess(t, binary.Build(t), harness.StartConsul(t))
	shop := openShop(t, s)
	quiet := 3 * time.Second
	if rounds(t) > 1 {
		quiet = 15 * time.Second // a p99 wants requests
	}
	pause(t, quiet)
	before := shop.latencies.p99()
	var longest time.Duration
	moves := 0
	for range rounds(t) {
		for _, m := range modules() {
			longest = max(longest, move(t, s, "extract", m), move(t, s, "absorb", m))
			moves += 2
		}
	}
	during := shop.latencies.p99()
	shop.close()
	t.Log("reads:", shop.reads.Report(), "buyers:", shop.buyers.Report(), "p99 before", before, "during", during)
	harness.Figure(t, "move_moves", float64(moves), 1e9, "moves")
	harness.Figure(t, "move_longest", longest.Seconds(), 15, "s")
	harness.Figure(t, "move_reads_sent", float64(shop.reads.Sent.Load()), 1e9, "requests")
	harness.Figure(t, "move_checkouts_sent", float64(shop.buyers.Sent.Load()), 1e9, "checkouts")
	harness.Figure(t, "move_requests_failed", float64(shop.reads.Failed.Load()+shop.buyers.Failed.Load()), 0, "requests")
	// Six processes' starts and stops share the two cores with the shop: what this bounds is a request that waits for a timeout.
	harness.Figure(t, "move_p99_before", float64(before.Microseconds())/1000, 1e9, "ms")
	harness.Figure(t, "move_p99_of_before", during.Seconds()/before.Seconds(), 1e9, "times")
	harness.Figure(t, "move_p99", float64(during.Microseconds())/1000, 2000, "ms")
	harness.Story(t, s.Client)
}

// The command dies in the middle: everything goes on, and the move can be finished, from where it was.
func TestAMoveThatWasKilledGoesOn(t *testing.T) {
	s := harness.OneProcess(t, binary.Build(t), nil)
	p := s.Start("extract", "payment", "--hold", "3s")
	host(t, s, p)
	harness.Eventually(t, 30*time.Second, "the first step is done", func() bool { return regexp.MustCompile(`(?m)^  1 %`).MatchString(p.Output()) })
	p.Kill() // before the next step's rule is written, or after
	harness.Story(t, s.Client)
	p = s.Start("extract", "payment")
	if code := p.Wait(time.Minute); code != 0 || !regexp.MustCompile(`going on: 10? % of the calls`).MatchString(p.Output()) {
		t.Errorf("exit code %d:\n%s", code, p.Output())
	}
	harness.Story(t, s.Client)
	move(t, s, "absorb", "payment")
	harness.Story(t, s.Client)
}

// move runs extract or absorb, which has to succeed, and returns how long it took.
func move(t *testing.T, s *harness.System, how, module string) time.Duration {
	t.Helper()
	begin := time.Now()
	p := s.Start(how, module, "--hold", "250ms")
	if how == "extract" {
		host(t, s, p)
	}
	if code := p.Wait(2 * time.Minute); code != 0 {
		t.Fatalf("%s %s: exit code %d:\n%s\n%s", how, module, code, p.Output(), s.Gateway.Output())
	}
	return time.Since(begin)
}

// host waits until extract has started the new host, which is killed when the test ends if it still runs, and returns its process.
func host(t *testing.T, s *harness.System, p *harness.Process) int {
	t.Helper()
	harness.Eventually(t, 30*time.Second, "extract starts a host", func() bool { return p.Exited() || harness.Pid(p) > 0 })
	if harness.Pid(p) == 0 {
		t.Fatalf("extract started nothing:\n%s", p.Output())
	}
	t.Cleanup(s.Extracted(p))
	return harness.Pid(p)
}

// shop is a load of customers.
type shop struct {
	reads, buyers *harness.Load
	latencies     *latencies
}

func (s *shop) close() {
	s.reads.Stop()
	s.buyers.Stop()
}

// openShop sends customers: a hundred reads and four checkouts a second.
func openShop(t *testing.T, s *harness.System) *shop {
	t.Helper()
	product, sku, _, _ := s.InStock(t)
	s.Must(t, http.MethodPut, "/v1/stock/"+sku, map[string]any{"onHand": 9_000}, nil)
	l := &latencies{}
	return &shop{
		latencies: l,
		reads: harness.StartLoad(t, 100, func(ctx context.Context) error {
			return l.time(func() error { return ok(s.Do(ctx, http.MethodGet, "/v1/products/"+product.ID, nil, nil)) })
		}),
		buyers: harness.StartLoad(t, 4, func(ctx context.Context) error {
			var cart, order struct {
				ID    string `json:"id"`
				State string `json:"state"`
			}
			body := map[string]any{"items": []any{map[string]any{"sku": sku, "quantity": 1}}}
			if err := l.time(func() error { return ok(s.Do(ctx, http.MethodPost, "/v1/carts", body, &cart)) }); err != nil {
				return fmt.Errorf("cart: %w", err)
			}
			body = map[string]any{
				"cartId": cart.ID, "email": "ada@example.com", "paymentToken": "tok_visa", "shippingAddress": harness.Address(), "requestId": harness.UUID(t),
			}
			if err := l.time(func() error { return ok(s.Do(ctx, http.MethodPost, "/v1/orders", body, &order)) }); err != nil {
				return fmt.Errorf("order: %w", err)
			}
			if order.State != "ORDER_STATE_PAID" {
				return fmt.Errorf("the order is %s", order.State)
			}
			return ok(s.Do(ctx, http.MethodGet, "/v1/orders/"+order.ID, nil, nil))
		}),
	}
}

func ok(status int, err error) error {
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return err
}

// latencies are those of requests since p99 was asked last.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) time(do func() error) error {
	begin := time.Now()
	err := do()
	l.mu.Lock()
	l.all = append(l.all, time.Since(begin))
	l.mu.Unlock()
	return err
}

func (l *latencies) p99() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return 0
	}
	slices.Sort(l.all)
	d := l.all[len(l.all)*99/100]
	l.all = nil
	return d
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select { // what is measured is what happens in this time: there is no condition to wait for
	case <-t.Context().Done():
	case <-time.After(d):
	}
}
