package mesh

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const firstWait = 10 * time.Second

// Config is what a Mesh needs. Source and Log must be given.
type Config struct {
	Source Source
	Log    *slog.Logger
	// Metrics receives mesh_*; may be nil.
	Metrics prometheus.Registerer
	// Wait is how long Identity waits for what it needs; default 10 s.
	Wait time.Duration
	// Now is the clock by which certificates expire; default time.Now.
	Now func() time.Time
}

// Mesh holds the identities of a process, and keeps them current. Close it.
type Mesh struct {
	c      Config
	denied *denied
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	loops  sync.WaitGroup

	trust      atomic.Pointer[trust]
	intentions atomic.Pointer[Intentions]
	ready      [2]once // of trust and intentions

	mu         sync.Mutex
	identities map[string]*Identity
	closed     bool
}

// trust is Roots, ready for use.
type trust struct {
	domain string
	pool   *x509.CertPool
}

// once is closed when something is there for the first time.
type once struct {
	is   chan struct{}
	once *sync.Once
}

func newOnce() once  { return once{make(chan struct{}), &sync.Once{}} }
func (o once) done() { o.once.Do(func() { close(o.is) }) }

// New makes a Mesh, which begins to follow its source at once. It waits for nothing.
func New(c Config) (*Mesh, error) {
	if c.Source == nil || c.Log == nil {
		return nil, errors.New("mesh: Config needs a Source and a Log")
	}
	c.Wait = cmp.Or(c.Wait, firstWait)
	if c.Now == nil {
		c.Now = time.Now
	}
	d, err := newDenied(c)
	if err != nil {
		return nil, fmt.Errorf("mesh: register metrics: %w", err)
	}
	m := &Mesh{c: c, denied: d, identities: map[string]*Identity{}, ready: [2]once{newOnce(), newOnce()}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.loops.Go(func() { _ = c.Source.Roots(m.ctx, m.setRoots) }) // it ends with m.ctx
	m.loops.Go(func() {
		_ = c.Source.Intentions(m.ctx, func(in Intentions) { // likewise
			m.intentions.Store(&in)
			m.ready[1].done()
		})
	})
	return m, nil
}

func (m *Mesh) setRoots(r Roots) {
	if len(r.Certs) == 0 || r.TrustDomain == "" {
		m.c.Log.Warn("the source of the mesh names no authority; those that were known are kept")
		return
	}
	pool := x509.NewCertPool()
	for _, c := range r.Certs {
		pool.AddCert(c)
	}
	m.trust.Store(&trust{domain: r.TrustDomain, pool: pool})
	m.ready[0].done()
}

// Identity returns the identity of a service, the same one each time, when its certificate, the roots and the intentions are there. It fails
// when ctx ends before, or after Config.Wait.
func (m *Mesh) Identity(ctx context.Context, service string) (*Identity, error) {
	if service == "" || service == Any {
		return nil, fmt.Errorf("mesh: %q is no name of a service", service)
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil, errors.New("mesh: it is closed")
	}
	i := m.identities[service]
	if i == nil {
		i = &Identity{m: m, service: service, ready: newOnce(), renew: map[*func()]struct{}{}}
		m.identities[service] = i
		m.loops.Go(func() { _ = m.c.Source.Leaf(m.ctx, service, i.set) }) // it ends with m.ctx
	}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, m.c.Wait)
	defer cancel()
	for _, w := range []struct {
		what string
		once once
	}{{"certificate", i.ready}, {"roots", m.ready[0]}, {"intentions", m.ready[1]}} {
		select {
		case <-w.once.is:
		case <-ctx.Done():
			return nil, fmt.Errorf("mesh: no %s came for %s: %w", w.what, service, ctx.Err())
		}
	}
	return i, nil
}

// Close ends what New and Identity began. Identities keep what they have.
func (m *Mesh) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.loops.Wait()
	return nil
}
