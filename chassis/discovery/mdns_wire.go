package discovery

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
)

// wire is this process's two sockets. One is bound to the mdns port, with whoever else is there, and hears what is
// multicast; the other one asks, from a port of its own, so that answers sent to it reach nobody else.
type wire struct {
	group  *net.UDPAddr
	ear    *net.UDPConn
	mouth  *net.UDPConn
	listen *ipv4.PacketConn
	speak  *ipv4.PacketConn

	mu     sync.Mutex // the multicast TTL is the socket's, so writes take turns
	joined map[int]bool
}

func newWire() (*wire, error) {
	w := &wire{group: &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}, joined: make(map[int]bool)}
	var err error
	// A multicast address makes net share the port (SO_REUSEADDR); it is bound to every address.
	if w.ear, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(224, 0, 0, 0), Port: w.group.Port}); err != nil {
		return nil, fmt.Errorf("listen on the mdns port: %w", err)
	}
	if w.mouth, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4zero}); err != nil {
		w.ear.Close()
		return nil, fmt.Errorf("listen for mdns answers: %w", err)
	}
	w.listen, w.speak = ipv4.NewPacketConn(w.ear), ipv4.NewPacketConn(w.mouth)
	err = errors.Join(w.listen.SetMulticastLoopback(true), w.speak.SetMulticastLoopback(true))
	if err != nil {
		w.close()
		return nil, fmt.Errorf("hear our own machine: %w", err)
	}
	w.join()
	return w, nil
}

// join takes part on every interface that is up, also on those that came since the last call, and returns them. The
// loopback interface counts although it is not flagged as multicast: with no network it is the one that works.
func (w *wire) join() []net.Interface {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var out []net.Interface
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, in := range all {
		if in.Flags&net.FlagUp == 0 || in.Flags&(net.FlagMulticast|net.FlagLoopback) == 0 {
			delete(w.joined, in.Index)
			continue
		}
		if !w.joined[in.Index] {
			_ = w.listen.JoinGroup(&in, w.group) // joined before, or not to be had: sending tells
			w.joined[in.Index] = true
		}
		out = append(out, in)
	}
	return out
}

// multicast sends m to everyone, or with private set to this machine only. It fails when no interface took it.
func (w *wire) multicast(conn *ipv4.PacketConn, m *dns.Msg, private bool) error {
	b, err := m.Pack()
	if err != nil {
		return fmt.Errorf("pack mdns message: %w", err)
	}
	interfaces := w.join()
	ttl := 255 // RFC 6762, section 11
	if private {
		ttl = 0 // looped back to this machine, then dropped
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := conn.SetMulticastTTL(ttl); err != nil {
		return fmt.Errorf("set multicast ttl: %w", err)
	}
	var errs []error
	for _, in := range interfaces {
		if _, err := conn.WriteTo(b, &ipv4.ControlMessage{IfIndex: in.Index}, w.group); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == len(interfaces) {
		return errors.Join(append(errs, errors.New("no interface takes multicast"))...)
	}
	return nil
}

func (w *wire) close() {
	w.ear.Close()
	w.mouth.Close()
}

// receive hands every well-formed message to fn until the socket is closed.
func receive(conn *net.UDPConn, fn func(m *dns.Msg, from *net.UDPAddr)) {
	buf := make([]byte, 65536)
	for {
		n, from, err := conn.ReadFromUDP(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		var m dns.Msg
		if m.Unpack(buf[:n]) == nil && m.Opcode == dns.OpcodeQuery {
			fn(&m, from)
		}
	}
}

// place is where a packet came from.
type place int

const (
	far  place = iota // beyond a router: no business of mdns
	near              // on a network that this machine is on
	here              // this machine
)

func locate(ip net.IP) place {
	if ip.IsLoopback() {
		return here
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return far
	}
	out := far
	for _, a := range addrs {
		switch n, ok := a.(*net.IPNet); {
		case !ok:
		case n.IP.Equal(ip):
			return here
		case n.Contains(ip):
			out = near
		}
	}
	return out
}
