package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
	"go-micro.dev/v4/registry"
)

var _ registry.Registry = (*MDNS)(nil)

// MDNSConfig chooses the mdns domain.
type MDNSConfig struct {
	// Domain keeps registries apart; empty is "micro", the one that the stock go-micro tools use.
	Domain string
	// Log gets trouble with the network; nil discards.
	Log *slog.Logger
	// Refresh is how often every known name is asked for; 0 is 5 s. An instance that misses three in a row is dropped with
	// the fourth.
	Refresh time.Duration
}

// MDNS is a registry without a server: multicast DNS, with the records of go-micro's own mdns registry, so that each
// sees the other and the stock `go-micro` command needs no flag. It is safe for concurrent use.
//
// It is not go-micro's registry wrapped: that one takes 100 ms for every read, opens two sockets and two goroutines per
// registered node, spins a core when IPv6 is off, never ends its listener, and hands out 127.0.0.1 addresses of other
// machines. Here there are two sockets per process; what this process registered is answered from memory; what others
// registered comes from a snapshot, kept by their announcements and by a question every few seconds.
//
// An instance on a loopback address is told to this machine only. The mdns port is by its nature open to the network
// of every interface. Only what comes from a neighbour is read (RFC 6762, section 11), but any neighbour can name
// addresses: a caller must not trust more in an answer than that.
//
// A process that dies without a goodbye is dropped when it left three questions unanswered, within 20 s by default.
//
// Records have to fit one packet: when endpoint values are too long they are cut, names never.
type MDNS struct {
	conf  MDNSConfig
	log   *slog.Logger
	host  string
	board *board
	wire  *wire

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	options registry.Options
	own     map[string]map[string]*record // service, node id
	remote  map[string]map[string]*peer   // service, node id
	asked   map[string]*question          // names somebody asked for; "" is all
	closed  bool
	// refreshing is true once somebody has asked for anything; a process that only serves reads no answers.
	refreshing bool
}

// peer is an instance of another process.
type peer struct {
	found    found
	instance instance
	missed   int // refreshes without an answer
}

// NewMDNS opens the sockets and starts to listen. Close ends it.
func NewMDNS(conf MDNSConfig) (*MDNS, error) {
	if conf.Domain == "" {
		conf.Domain = "micro"
	}
	if conf.Refresh == 0 {
		conf.Refresh = 5 * time.Second
	}
	if conf.Refresh < 0 {
		return nil, errors.New("new mdns registry: Refresh is negative")
	}
	if conf.Log == nil {
		conf.Log = slog.New(slog.DiscardHandler)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	w, err := newWire()
	if err != nil {
		return nil, fmt.Errorf("new mdns registry: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &MDNS{
		conf: conf, log: conf.Log.With("registry", "mdns"), host: host + ".", board: newBoard(), wire: w,
		ctx: ctx, cancel: cancel, options: registry.Options{Context: ctx},
		own: make(map[string]map[string]*record), remote: make(map[string]map[string]*peer), asked: make(map[string]*question),
	}
	m.wg.Go(func() { receive(w.ear, m.hear) })
	m.wg.Go(func() { receive(w.mouth, m.hear) })
	return m, nil
}

// Init applies go-micro options; none changes anything here.
func (m *MDNS) Init(opts ...registry.Option) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range opts {
		o(&m.options)
	}
	return nil
}

// Options returns what Init was given.
func (m *MDNS) Options() registry.Options {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.options
}

// String is "mdns".
func (m *MDNS) String() string { return "mdns" }

// Register announces every node of s. Repeating it costs nothing; a node that changed is announced again. The address
// must be an IP or resolve to one. It returns before others have heard.
func (m *MDNS) Register(s *registry.Service, _ ...registry.RegisterOption) error {
	if len(s.Nodes) == 0 {
		return fmt.Errorf("register %s by mdns: it has no nodes", s.Name)
	}
	var errs []error
	for _, n := range s.Nodes {
		r, err := newRecord(s, n, m.host)
		if err == nil {
			err = m.announceNew(r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("register %s by mdns: %w", n.Id, err))
		}
	}
	return errors.Join(errs...)
}

func (m *MDNS) announceNew(r *record) error {
	if err := r.check(m.conf.Domain); err != nil {
		return err
	}
	id := r.instance.node.Id
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	old := m.own[r.service][id]
	if old != nil && old.instance.version == r.instance.version && slices.Equal(old.txt, r.txt) && old.ip.Equal(r.ip) && old.port == r.port {
		return nil
	}
	if m.own[r.service] == nil {
		m.own[r.service] = make(map[string]*record)
	}
	m.own[r.service][id] = r
	delete(m.remote[r.service], id)
	m.publishLocked(r.service)
	m.wg.Go(func() { // twice, a second apart: RFC 6762, section 8.3
		m.say(announcement(r, m.conf.Domain, recordTTL), r.private())
		pause(m.ctx, time.Second)
		m.mu.Lock()
		current := m.own[r.service][id] == r
		m.mu.Unlock()
		if current && m.ctx.Err() == nil {
			m.say(announcement(r, m.conf.Domain, recordTTL), r.private())
		}
	})
	return nil
}

// Deregister takes the nodes of s back and tells everyone. One that is not there is no error.
func (m *MDNS) Deregister(s *registry.Service, _ ...registry.DeregisterOption) error {
	for _, n := range s.Nodes {
		m.mu.Lock()
		r := m.own[s.Name][n.Id]
		delete(m.own[s.Name], n.Id)
		m.publishLocked(s.Name)
		m.mu.Unlock()
		if r != nil {
			m.goodbye(r)
		}
	}
	return nil
}

// Close says goodbye for what is still registered, then ends everything and waits. A second call does nothing.
func (m *MDNS) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	var left []*record
	for _, byID := range m.own {
		for _, r := range byID {
			left = append(left, r)
		}
	}
	m.mu.Unlock()
	for _, r := range left {
		m.goodbye(r)
	}
	m.cancel()
	m.board.close()
	m.wire.close()
	m.wg.Wait()
	return nil
}

// goodbye is told twice at once: multicast loses packets, and a process that ends has no second later.
func (m *MDNS) goodbye(r *record) {
	for range 2 {
		m.say(announcement(r, m.conf.Domain, 0), r.private())
	}
}

func (m *MDNS) say(msg *dns.Msg, private bool) {
	err := m.wire.multicast(m.wire.listen, msg, private)
	if err != nil && m.ctx.Err() == nil {
		m.log.Warn("mdns announcement failed; other processes may not see this one", "error", err)
	}
}

// publishLocked shows everyone what is known of a name: our own instances and the others'.
func (m *MDNS) publishLocked(service string) {
	var list []instance
	for _, r := range m.own[service] {
		list = append(list, r.instance)
	}
	for _, p := range m.remote[service] {
		list = append(list, p.instance)
	}
	m.board.put(service, group(service, list), false)
	if len(m.own[service]) == 0 {
		delete(m.own, service)
	}
	if len(m.remote[service]) == 0 {
		delete(m.remote, service)
	}
}

// announcement is an answer that nobody asked for.
func announcement(r *record, domain string, ttl uint32) *dns.Msg {
	msg := new(dns.Msg)
	msg.Response, msg.Authoritative, msg.Compress = true, true, true
	msg.Answer = r.answer(domain, ttl)
	return msg
}
