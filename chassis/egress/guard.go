package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrForbidden says that an address is none of the public Internet's, and not one that the operator allows.
var ErrForbidden = errors.New("the address is not public")

// special are the networks that netip's own questions leave out: those of
// https://www.iana.org/assignments/iana-ipv4-special-registry and its IPv6 sister that are not globally reachable, and those that hide an
// IPv4 address inside of an IPv6 one.
func special() []string {
	return []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	}
}

// guard says which addresses may be connected to.
type guard struct {
	// public: whatever is public may be.
	public  bool
	special []netip.Prefix
	allow   []netip.Prefix
}

func newGuard(public bool, allow []netip.Prefix) guard {
	g := guard{public: public, allow: allow}
	for _, p := range special() {
		g.special = append(g.special, netip.MustParsePrefix(p))
	}
	return g
}

// check returns ErrForbidden unless a may be connected to.
func (g guard) check(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	if within(g.allow, a) || g.public && public(a) && !within(g.special, a) {
		return nil
	}
	return ErrForbidden
}

func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// control is a net.Dialer's Control: it sees the address that is connected to, after every name was resolved, so no name can promise one address
// and then lead to another.
func (g guard) control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: network %s", ErrForbidden, network)
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	return g.check(at.Addr())
}
