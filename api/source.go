package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// sourceHeader tells a service where a request comes from, as the proxies' de facto header does: one IP address.
const sourceHeader = "X-Forwarded-For"

// source is where a request comes from, for services that count attempts: the peer's address. A peer with a private address is a proxy of the
// operator's own, and what it says of its peer is believed, and so on: the last address that is not a private one. What stands before that
// anybody may have written. Empty when nobody says: better no source than everyone behind one.
//
// A proxy with a public address, a CDN, is taken for the client: put one with a private address between it and the gateway, that says
// which client the CDN speaks for.
func source(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	if ip := peer.Addr().Unmap(); !private(ip) {
		return ip.WithZone("").String()
	}
	hops := strings.Split(strings.Join(r.Header.Values(sourceHeader), ","), ",")
	for _, hop := range slices.Backward(hops) {
		ip, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return "" // nobody knows who wrote what is before it
		}
		if ip = ip.Unmap(); !private(ip) {
			return ip.WithZone("").String()
		}
	}
	return ""
}

func private(ip netip.Addr) bool { return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() }
