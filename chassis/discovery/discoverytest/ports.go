package discoverytest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// FreePorts finds n ports of loopback that nobody uses now, over TCP or UDP. They lie below those that Linux gives to outgoing connections (from
// 32,768, /proc/sys/net/ipv4/ip_local_port_range): of those one may be taken while the server that is to come back there is away.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	var out []int
	for tries := 0; len(out) < n; tries++ {
		if tries > 1000 {
			t.Fatalf("no free port after %d tries", tries)
		}
		port := 12_000 + rand.IntN(20_000)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }() //nolint:gocritic // all at the end, so that no port comes twice
		u, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		defer func() { _ = u.Close() }() //nolint:gocritic // as above
		out = append(out, port)
	}
	return out
}
