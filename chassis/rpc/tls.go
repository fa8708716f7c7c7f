package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"time"

	"go-micro.dev/v4/registry"
	"google.golang.org/grpc/credentials"
	grpcpeer "google.golang.org/grpc/peer"

	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
)

// The protocols of a TLS port, as ALPN names them (RFC 7301). Who names none speaks go-micro's RPC.
const (
	alpnLane  = "cleave-lane/1"
	alpnGRPC  = "h2"
	alpnMicro = "http/1.1"
)

// tlsKey in an instance's metadata says that it is reached over TLS; its value is tlsOn.
const (
	tlsKey = "tls"
	tlsOn  = "1"
)

// handshakeTimeout is how long either side waits for the other's part of a handshake.
const handshakeTimeout = 5 * time.Second

// PeerChain returns the certificates by which the caller of a handler was verified, its own first, a root last. It is nil when the caller
// showed none or none was verified, when the connection has no TLS, in a direct call, and over go-micro's own RPC.
func PeerChain(ctx context.Context) []*x509.Certificate {
	state, _ := ctx.Value(callctx.PeerKey{}).(*tls.ConnectionState)
	if state == nil {
		p, ok := grpcpeer.FromContext(ctx)
		if !ok {
			return nil
		}
		info, ok := p.AuthInfo.(credentials.TLSInfo)
		if !ok {
			return nil
		}
		state = &info.State
	}
	if len(state.VerifiedChains) == 0 {
		return nil
	}
	return slices.Clone(state.VerifiedChains[0])
}

// serverTLS is c with the protocols of a port. What c.GetConfigForClient returns gets them too.
func serverTLS(c *tls.Config, lane bool) *tls.Config {
	out := c.Clone()
	if out.MinVersion == 0 {
		out.MinVersion = tls.VersionTLS13
	}
	out.NextProtos = []string{alpnGRPC, alpnMicro}
	if lane {
		out.NextProtos = slices.Insert(out.NextProtos, 0, alpnLane)
	}
	if each := c.GetConfigForClient; each != nil {
		out.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			own, err := each(hello)
			if own == nil || err != nil {
				return nil, err
			}
			own = own.Clone()
			own.GetConfigForClient = nil
			return serverTLS(own, lane), nil
		}
	}
	return out
}

// shake is the server's part of a handshake.
func (s *Server) shake(conn net.Conn) (*tls.Conn, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	c := tls.Server(conn, s.tls)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, "", err
	}
	return c, c.ConnectionState().NegotiatedProtocol, nil
}

// handshaken are gRPC's credentials for a connection that has its TLS already.
type handshaken struct {
	credentials.TransportCredentials
}

// ServerHandshake implements credentials.TransportCredentials.
func (handshaken) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, ok := conn.(*tls.Conn)
	if !ok {
		return nil, nil, fmt.Errorf("rpc: a %T has no TLS", conn)
	}
	return conn, credentials.TLSInfo{
		State: c.ConnectionState(), CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

// peerID names a connection. One with TLS is to one service alone: another one at the same address has to be verified anew.
type peerID struct {
	address, service string
	tls              bool
}

// peerID of an instance of a service.
func (c *Client) peerID(service string, n *registry.Node) peerID {
	if n.Metadata[tlsKey] == tlsOn || c.c.TLSOnly {
		return peerID{n.Address, service, true}
	}
	return peerID{address: n.Address}
}

// clientTLS is the configuration for connections to id.
func (c *Client) clientTLS(id peerID) *tls.Config {
	out := c.c.TLS.Clone()
	if out.MinVersion == 0 {
		out.MinVersion = tls.VersionTLS13
	}
	if out.ServerName == "" {
		out.ServerName = id.address
		if host, _, err := net.SplitHostPort(id.address); err == nil {
			out.ServerName = host
		}
	}
	if verify := c.c.VerifyPeer; verify != nil {
		first := out.VerifyConnection
		out.VerifyConnection = func(state tls.ConnectionState) error {
			if first != nil {
				if err := first(state); err != nil {
					return err
				}
			}
			return verify(id.service, state)
		}
	}
	return out
}

// secured is the client's part of a lane's handshake. It takes nc over, also when it fails.
func (c *Client) secured(nc net.Conn, id peerID) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(c.ctx, handshakeTimeout)
	defer cancel()
	conf := c.clientTLS(id)
	conf.NextProtos = []string{alpnLane, alpnGRPC}
	tc := tls.Client(nc, conf)
	err := tc.HandshakeContext(ctx)
	if err == nil && tc.ConnectionState().NegotiatedProtocol != alpnLane {
		err = errNoLane
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return tc, nil
}
