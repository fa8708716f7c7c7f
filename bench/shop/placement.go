package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cleavehq/cleave/bench/internal/child"
	"github.com/cleavehq/cleave/bench/internal/consul"
	"github.com/cleavehq/cleave/bench/internal/stat"
	"github.com/cleavehq/cleave/chassis/events"
)

// Two placements of the same modules: all in one process, which call each other directly, and each in a process of its own, which find each
// other in Consul. It is the comparison of Ghemawat and others, Towards Modern Development of Cloud Applications, HotOS 2023, figure "prototype".

const (
	oneProcess  = "direct"
	processEach = "remote"
)

func placements() []string { return []string{oneProcess, processEach} }

// What the clients do.
const (
	list = "list products"
	buy  = "check out"
)

func operations() []string { return []string{list, buy} }

func moduleNames() []string {
	return []string{"catalog", "inventory", "pricing", "payment", "cart", "order", "fulfilment", "customer", "notification", "webhook"}
}

// broker is the process of the NATS server that the modules share when they are apart: the one that is inside the process when they aren't.
func broker(dir string) error {
	s, err := events.StartEmbedded(events.EmbeddedConfig{Dir: dir})
	if err != nil {
		return err
	}
	defer s.Shutdown()
	child.Tell(s.URL())
	return child.Serve(func(string) (any, error) { return nil, errors.New("nothing to ask") })
}

// apart starts a process for each module and one for the gateway. What it returns is to be closed, also when there is an error.
func apart(ctx context.Context, bin, dir string, agent *consul.Agent) (*system, func(), error) {
	sayf("start a process for each module, and the gateway")
	data := filepath.Join(dir, "apart")
	s := &system{
		engine: processEach, bin: bin, dir: dir, data: []string{"--data-dir", data}, beside: []int{agent.PID()}, drop: func() error { return nil },
	}
	nats, err := child.Start("broker", filepath.Join(data, "nats"))
	if err != nil {
		return s, func() {}, err
	}
	s.beside = append(s.beside, nats.PID())
	url, err := nats.Line(time.Minute)
	if err != nil {
		return s, nats.Stop, err
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return s, nats.Stop, err
	}
	s.client = newClient(addr)
	common := []string{"--registry", "consul", "--consul-addr", agent.Addr, "--log-level", "warn"}
	run := func(name string, args ...string) error {
		p, err := start(name, filepath.Join(dir, "apart-"+name+".log"), bin, append(args, common...)...)
		if err == nil {
			s.procs = append(s.procs, p)
		}
		return err
	}
	if s.client.key, err = newKey(ctx, bin, common...); err != nil {
		return s, nats.Stop, err
	}
	err = run("gateway", "gateway", "--listen", addr)
	for _, m := range moduleNames() {
		err = errors.Join(err, run(m, "run", "--modules", m, "--data-dir", data, "--broker", url))
	}
	if err != nil {
		return s, nats.Stop, err
	}
	err = until(ctx, 2*time.Minute, func(ctx context.Context) (bool, error) {
		for _, p := range s.procs {
			if p.ended() {
				return false, fmt.Errorf("%s has ended: %s", p.name, p.said())
			}
		}
		return s.answers(ctx), nil
	})
	if err != nil {
		return s, nats.Stop, fmt.Errorf("%s: it doesn't come up: %w", s.engine, err)
	}
	sample, err := start("import", filepath.Join(dir, "import.log"), bin, append([]string{"shop", "import", "--sample"}, common...)...)
	if err != nil {
		return s, nats.Stop, err
	}
	<-sample.done
	if code := sample.cmd.ProcessState.ExitCode(); code != 0 {
		return s, nats.Stop, fmt.Errorf("shop import: %v\n%s", sample.cmd.ProcessState, sample.said())
	}
	s.skus, err = s.client.fill(ctx)
	return s, nats.Stop, err
}

// listed has n clients list products for d.
func (s *system) listed(ctx context.Context, n int, d time.Duration) (placed, error) {
	before, err := s.cpu()
	if err != nil {
		return placed{}, err
	}
	took, errs := make([][]time.Duration, n), make([]error, n)
	var all sync.WaitGroup
	begun := time.Now()
	for i := range n {
		all.Go(func() {
			for last := begun; last.Sub(begun) < d && ctx.Err() == nil; {
				if errs[i] = s.client.do(ctx, http.MethodGet, "/v1/products?status=PRODUCT_STATUS_ACTIVE", nil, nil); errs[i] != nil {
					return
				}
				now := time.Now()
				took[i], last = append(took[i], now.Sub(last)), now
			}
		})
	}
	all.Wait()
	p := placed{took: time.Since(begun), each: slices.Concat(took...)}
	after, err := s.cpu()
	p.cpu = after - before
	return p, errors.Join(err, ctx.Err(), errors.Join(errs...))
}

// placed is what one placement did in one turn.
type placed struct {
	each   []time.Duration // how long a request took
	took   time.Duration   // the whole turn
	cpu    time.Duration   // of all processes
	failed int
}

// does has n clients do op for d.
func (s *system) does(ctx context.Context, op string, n int, d time.Duration) (placed, error) {
	if op == list {
		return s.listed(ctx, n, d)
	}
	t, err := s.turn(ctx, n, d)
	p := placed{took: t.took, cpu: t.cpu, failed: len(t.failed)}
	for _, b := range t.sold {
		p.each = append(p.each, b.took())
	}
	return p, err
}

// place is a row of the comparison: medians of the turns, in milliseconds.
type place struct {
	Operation string  `json:"operation"`
	Placement string  `json:"placement"`
	Clients   int     `json:"clients"`
	Requests  int     `json:"requests"`
	Failed    int     `json:"failed"`
	Rate      float64 `json:"requests_per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	CPU       float64 `json:"cpu_ms_per_request"`
}

func placeOf(op, placement string, clients int, turns []placed) place {
	r := place{Operation: op, Placement: placement, Clients: clients}
	var rate, p50, p99, cpu []float64
	for _, t := range turns {
		r.Requests, r.Failed = r.Requests+len(t.each), r.Failed+t.failed
		each := slices.Sorted(slices.Values(t.each))
		rate = append(rate, float64(len(each))/t.took.Seconds())
		p50, p99 = append(p50, stat.MS(stat.Quantile(each, 0.5))), append(p99, stat.MS(stat.Quantile(each, 0.99)))
		cpu = append(cpu, stat.MS(t.cpu)/float64(len(each)))
	}
	r.Rate, r.P50, r.P99, r.CPU = stat.Median(rate), stat.Median(p50), stat.Median(p99), stat.Median(cpu)
	return r
}

// compare starts both placements and lets them take turns.
func compare(ctx context.Context, p plan, bin, dir string) (rows []place, err error) {
	agent, err := consul.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer agent.Stop()
	together := &system{engine: oneProcess, bin: bin, dir: dir, data: []string{"--data-dir", filepath.Join(dir, "together")}, drop: func() error { return nil }}
	defer func() { err = errors.Join(err, together.close()) }()
	if err := together.start(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", together.engine, err)
	}
	each, stop, err := apart(ctx, bin, dir, agent)
	defer stop()
	defer func() { err = errors.Join(err, each.close()) }()
	if err != nil {
		return nil, err
	}
	shops := []*system{together, each}
	turns := map[string][]placed{}
	key := func(op, placement string, n int) string { return fmt.Sprint(op, placement, n) }
	for round := range p.rounds + 1 { // the first one warms up
		for _, n := range p.buyers {
			for _, op := range operations() {
				for _, s := range shops {
					t, err := s.does(ctx, op, n, p.turn)
					if err != nil {
						return nil, s.told(n, fmt.Errorf("%s: %w", op, err))
					}
					sayf("round %d of %d, %s, %s, %d at once: %d in %.1f s", round, p.rounds, op, s.engine, n, len(t.each), t.took.Seconds())
					if k := key(op, s.engine, n); round > 0 {
						turns[k] = append(turns[k], t)
					}
				}
			}
		}
	}
	for _, s := range shops {
		if err := s.verify(ctx); err != nil {
			return nil, err
		}
	}
	for _, op := range operations() {
		for _, n := range p.buyers {
			for _, where := range placements() {
				rows = append(rows, placeOf(op, where, n, turns[key(op, where, n)]))
			}
		}
	}
	return rows, nil
}

func printPlaces(w io.Writer, rows []place) error {
	out := [][]string{{"request", "placement", "clients", "req/s", "p50 ms", "p99 ms", "CPU ms/req", "x p50", "x CPU", "failed"}}
	var base place
	for _, r := range rows {
		if r.Placement == oneProcess {
			base = r
		}
		out = append(out, []string{
			r.Operation, r.Placement, fmt.Sprint(r.Clients), stat.Number(r.Rate), stat.Number(r.P50), stat.Number(r.P99), stat.Number(r.CPU),
			stat.Ratio(r.P50, base.P50), stat.Ratio(r.CPU, base.CPU), fmt.Sprint(r.Failed),
		})
	}
	return stat.Table(w, "The shop in one process (direct), and in one process for each module over Consul (remote) (medians of the turns; CPU is of all processes: gateway, modules, NATS, Consul)", out)
}

// placeFigures compare the placements: times of one process.
func placeFigures(rows []place) []stat.Figure {
	var out []stat.Figure
	short := map[string]string{list: "products", buy: "checkout"}
	var base place
	for _, r := range rows {
		if r.Placement == oneProcess {
			base = r
			continue
		}
		name := fmt.Sprintf("placement_%s_at_%d_", short[r.Operation], r.Clients)
		out = append(out,
			stat.Figure{Name: name + "p50_direct", Value: base.P50, Unit: "ms"}, stat.Figure{Name: name + "p50_remote", Value: r.P50, Unit: "ms"},
			stat.Figure{Name: name + "p50_ratio", Value: r.P50 / base.P50, Unit: "ratio"},
			stat.Figure{Name: name + "cpu_direct", Value: base.CPU, Unit: "ms"}, stat.Figure{Name: name + "cpu_remote", Value: r.CPU, Unit: "ms"},
			stat.Figure{Name: name + "cpu_ratio", Value: r.CPU / base.CPU, Unit: "ratio"},
			stat.Figure{Name: name + "failed", Value: float64(base.Failed + r.Failed), Unit: "requests"})
	}
	return out
}

// failedPlaces is an error when a request failed.
func failedPlaces(rows []place) error {
	var texts []string
	for _, r := range rows {
		if r.Failed > 0 {
			texts = append(texts, fmt.Sprintf("%s, %s, %d at once: %d failed", r.Operation, r.Placement, r.Clients, r.Failed))
		}
	}
	if len(texts) > 0 {
		return errors.New(strings.Join(texts, "; "))
	}
	return nil
}

// newKey makes an API key that may do everything.
func newKey(ctx context.Context, bin string, flags ...string) (string, error) {
	out, err := exec.CommandContext(ctx, bin, append([]string{"apikey", "create", "bench", "--scope", "*"}, flags...)...).Output() //nolint:gosec // our binary
	if err != nil {
		return "", fmt.Errorf("make an API key: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
