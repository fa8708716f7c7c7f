package discovery

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"go-micro.dev/v4/registry"
)

const (
	firstWait   = 500 * time.Millisecond // a first read's longest wait
	settleWait  = 30 * time.Millisecond  // from the first answer to the rest of them
	listWait    = 200 * time.Millisecond // answers to "what is there" come from many
	askAgain    = 120 * time.Millisecond // packets get lost
	keepAsking  = time.Minute            // for a name that nobody answers
	missAllowed = 3
	maxPeers    = 4096 // of one name or names, so that a noisy network cannot fill the memory
)

// question is a name that this process asks for.
type question struct {
	answered chan struct{} // closed at the first answer
	done     chan struct{} // closed when the first wait is over
	last     time.Time     // asked for by a caller
	pinned   bool          // a watcher wants it
}

// GetService returns the instances of name from memory. The first call for a name that is not known yet asks the
// network, and waits until shortly after the first answer, at most 500 ms. registry.ErrNotFound when nobody has it.
func (m *MDNS) GetService(name string, _ ...registry.GetOption) ([]*registry.Service, error) {
	q := m.ask(name, false)
	if s, err := m.board.get(name); err == nil {
		return s, nil
	}
	m.waitFirst(q)
	return m.board.get(name)
}

// ListServices returns every service known. The first call listens 200 ms for answers; later ones never wait.
func (m *MDNS) ListServices(...registry.ListOption) ([]*registry.Service, error) {
	m.waitFirst(m.ask("", false))
	return m.board.list(), nil
}

// Watch tells changes of one service (registry.WatchService) or of all; the package comment says in what form. What this
// process registers is told at once, what others register when their announcement comes.
func (m *MDNS) Watch(opts ...registry.WatchOption) (registry.Watcher, error) {
	var wo registry.WatchOptions
	for _, o := range opts {
		o(&wo)
	}
	m.ask(wo.Service, true)
	return m.board.watch(wo), nil
}

func (m *MDNS) waitFirst(q *question) {
	if q == nil {
		return
	}
	select {
	case <-q.done:
	case <-m.ctx.Done():
	}
}

// ask notes that name is wanted, and starts the first round of questions when it is new. The first name ever starts the
// refreshing.
func (m *MDNS) ask(name string, pinned bool) *question {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	q := m.asked[name]
	if q == nil {
		if !m.refreshing {
			m.refreshing = true
			m.wg.Go(m.refresh)
		}
		q = &question{answered: make(chan struct{}), done: make(chan struct{})}
		m.asked[name] = q
		m.wg.Go(func() { m.first(name, q) })
	}
	q.last = time.Now()
	q.pinned = q.pinned || pinned
	return q
}

// first asks a few times, because multicast loses packets, and ends when the answers are in.
func (m *MDNS) first(name string, q *question) {
	defer close(q.done)
	ctx, cancel := context.WithTimeout(m.ctx, firstWait)
	defer cancel()
	if name == "" {
		m.query(listName)
		pause(ctx, listWait/2)
		m.query(listName)
		pause(ctx, listWait/2)
		return
	}
	for ctx.Err() == nil {
		m.query(name)
		t := time.NewTimer(askAgain)
		select {
		case <-q.answered:
			t.Stop()
			pause(ctx, settleWait)
			return
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

// query multicasts one question, and says whether it could be sent.
func (m *MDNS) query(service string) bool {
	msg := new(dns.Msg)
	msg.SetQuestion(service+"."+m.conf.Domain+".", dns.TypePTR)
	msg.RecursionDesired = false
	err := m.wire.multicast(m.wire.speak, msg, false)
	if err != nil && m.ctx.Err() == nil {
		m.log.Debug("mdns question failed; keeping what is known", "service", service, "error", err)
	}
	return err == nil
}

// refresh asks for every known name again and again, and drops who stopped answering. When the question cannot even be
// sent nobody is to blame, and nobody is dropped.
func (m *MDNS) refresh() {
	for {
		pause(m.ctx, m.conf.Refresh)
		if m.ctx.Err() != nil {
			return
		}
		for _, name := range m.wanted() {
			if name == "" {
				m.query(listName)
				continue
			}
			m.age(name)
			if !m.query(name) {
				m.forgive(name)
			}
		}
	}
}

// wanted returns the names to ask for and forgets those that nobody has and nobody asks for.
func (m *MDNS) wanted() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := make(map[string]bool)
	for name, q := range m.asked {
		if name != "" && !q.pinned && time.Since(q.last) > keepAsking && len(m.remote[name]) == 0 && len(m.own[name]) == 0 {
			delete(m.asked, name)
			continue
		}
		names[name] = true
	}
	for name := range m.remote {
		names[name] = true
	}
	out := make([]string, 0, len(names))
	for name := range names {
		out = append(out, name)
	}
	return out
}

// age counts one question more, and drops who left too many unanswered.
func (m *MDNS) age(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, p := range m.remote[name] {
		if p.missed++; p.missed > missAllowed {
			m.log.Info("an instance stopped answering", "service", name, "instance", id)
			delete(m.remote[name], id)
		}
	}
	m.publishLocked(name)
}

func (m *MDNS) forgive(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.remote[name] {
		p.missed--
	}
}

// hear takes one message: a question is answered, an answer is noted.
func (m *MDNS) hear(msg *dns.Msg, from *net.UDPAddr) {
	if msg.Response {
		m.absorb(msg, from)
		return
	}
	for _, q := range msg.Question {
		m.reply(msg.Id, q, from)
	}
}

// reply sends one message per instance, as go-micro's client wants it, to whoever asked.
func (m *MDNS) reply(id uint16, q dns.Question, from *net.UDPAddr) {
	service, ok := strings.CutSuffix(q.Name, "."+m.conf.Domain+".")
	if !ok || (q.Qtype != dns.TypePTR && q.Qtype != dns.TypeANY) {
		return
	}
	at := locate(from.IP)
	if at == far {
		return
	}
	var answers [][]dns.RR
	m.mu.Lock()
	for name, byID := range m.own {
		told := false
		for _, r := range byID {
			if r.private() && at != here {
				continue
			}
			if name == service {
				answers = append(answers, r.answer(m.conf.Domain, recordTTL))
			}
			if service == listName && !told {
				told = true
				answers = append(answers, listAnswer(name, m.conf.Domain, m.host))
			}
		}
	}
	m.mu.Unlock()
	for _, a := range answers {
		msg := new(dns.Msg)
		msg.Id, msg.Response, msg.Authoritative, msg.Compress = id, true, true, true
		msg.Question = []dns.Question{q}
		msg.Answer = a
		if b, err := msg.Pack(); err == nil {
			_, _ = m.wire.ear.WriteToUDP(b, from) // lost like any packet; the question comes again
		}
	}
}

// absorb notes what an answer says. Before anybody here has asked for anything it is not even read.
func (m *MDNS) absorb(msg *dns.Msg, from *net.UDPAddr) {
	m.mu.Lock()
	idle := !m.refreshing
	m.mu.Unlock()
	if idle {
		return
	}
	list := parseAnswer(msg, m.conf.Domain)
	if len(list) == 0 {
		return
	}
	at := locate(from.IP)
	for _, f := range list {
		if at == far || f.ip.IsLoopback() && at != here {
			continue // 127.0.0.1 of another machine is not ours
		}
		if name, ok := strings.CutSuffix(f.name, "."+listName+"."+m.conf.Domain+"."); ok {
			m.named(name)
			continue
		}
		m.note(f)
	}
}

// named learns that a service exists; its instances are asked for when it is new.
func (m *MDNS) named(service string) {
	m.mu.Lock()
	_, all := m.asked[""]
	_, known := m.remote[service]
	tooMany := len(m.remote) >= maxPeers
	m.mu.Unlock()
	if all && !known && !tooMany {
		m.query(service)
	}
}

// note takes one instance into the snapshot, or out of it.
func (m *MDNS) note(f found) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// The cheap way first: the same record as before.
	for service, byID := range m.remote {
		id, ok := strings.CutSuffix(f.name, "."+service+"."+m.conf.Domain+".")
		p := byID[id]
		if !ok || p == nil {
			continue
		}
		if f.gone {
			delete(byID, id)
			m.publishLocked(service)
			return
		}
		if p.found.address == f.address && slices.Equal(p.found.txt, f.txt) {
			p.missed = 0
			return
		}
	}
	if f.gone {
		return
	}
	p, err := decodeTXT(f.txt)
	if err != nil || p.Service == "" {
		return // some other program's record
	}
	id, ok := strings.CutSuffix(f.name, "."+p.Service+"."+m.conf.Domain+".")
	if !ok || m.own[p.Service][id] != nil {
		return
	}
	if m.remote[p.Service] == nil {
		if len(m.remote) >= maxPeers {
			return
		}
		m.remote[p.Service] = make(map[string]*peer)
	}
	if len(m.remote[p.Service]) >= maxPeers {
		return
	}
	m.remote[p.Service][id] = &peer{found: f, instance: instance{
		version: p.Version, endpoints: p.Endpoints,
		node: &registry.Node{Id: id, Address: f.address, Metadata: p.Metadata},
	}}
	m.publishLocked(p.Service)
	if q := m.asked[p.Service]; q != nil {
		select {
		case <-q.answered:
		default:
			close(q.answered)
		}
	}
}
