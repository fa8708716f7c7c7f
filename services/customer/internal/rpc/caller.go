package rpc

import (
	"context"
	"net/netip"
	"strings"

	"go-micro.dev/v4/metadata"
)

// sourceHeader is the metadata in which the gateway says where a call comes from. The gateway takes none of a client's own headers into the
// metadata, so what is there is the gateway's word. When it is missing, attempts are counted by e-mail address alone.
const sourceHeader = "X-Forwarded-For"

// caller is the id of the customer whose access token the call carries.
func (h *Handler) caller(ctx context.Context) (string, error) {
	who, err := h.verifier.Caller(ctx)
	return who.Subject, err
}

// source is where a call comes from: an IPv4 address, or the /64 of an IPv6 one, since one household has as many as there are. Of several
// the last was written by who is nearest. Empty when it isn't known.
func source(ctx context.Context) string {
	h, _ := metadata.Get(ctx, sourceHeader)
	if i := strings.LastIndexByte(h, ','); i >= 0 {
		h = h[i+1:]
	}
	ip, err := netip.ParseAddr(strings.TrimSpace(h))
	if err != nil {
		return ""
	}
	if ip = ip.Unmap(); ip.Is6() {
		p, err := ip.WithZone("").Prefix(64)
		if err != nil {
			return ""
		}
		return p.String()
	}
	return ip.String()
}
