// Package rpc is a go-micro server and a go-micro client that speak gRPC.
//
// # Server
//
// One port speaks gRPC, with the standard health and reflection services, and go-micro's own RPC over HTTP/1, so that grpcurl, Consul's
// gRPC check and the stock go-micro CLI all work. A connection is told apart by its first bytes. Handlers are what protoc-gen-micro
// makes; both wires run them through one chain: recover, trace, validate (protovalidate), the service's own wrappers, handler; what a
// handler returns is sent as a problem.Error.
//
// A call is found under /package.Service/Method, and under the names that go-micro's gRPC client uses, /Service/Method and
// /registryname.Service/Method.
//
// With ServerConfig.TLS every connection to the port has TLS, and ALPN tells the wires apart: "cleave-lane/1" the fast lane, "h2" gRPC,
// "http/1.1" or nothing go-micro's RPC, which the stock client speaks when its transport has a TLS configuration. The registry is told
// (metadata tls=1), so that a client with ClientConfig.TLS calls this instance with it and others without; TLSOnly refuses those. A
// handler learns who calls from PeerChain. The default is no TLS, for a port on loopback.
//
// # Client
//
// The client finds instances in the registry, keeps one connection to each, and picks the less busy of two at random (power of two
// choices). An instance whose connection fails is ejected: for a second at first, for thirty at most, and never the last one. A call is
// tried again, at most twice, when it was surely not sent or when its method is declared idempotent (idempotency_level in the proto), on
// another instance if there is one, and within a retry budget of 20 %. go-micro's own retries, which repeat the ambiguous 408, are off.
//
// # Limits
//
//	message            4 MiB    MaxMessage, in each direction, on both wires
//	header list        64 KiB   gRPC metadata; HTTP/1 headers 1 MiB (net/http's default)
//	connections        10,000   MaxConns; further ones wait in the kernel's queue
//	streams            1,000    running calls on one gRPC connection; further ones wait at the client
//	first bytes        5 s      a connection that says nothing for so long is closed; so is one whose TLS handshake takes longer
//	call               5 s      the client's deadline when the caller's context has none
//	attempts           3        of one call
//	stop               30 s     Stop's time for running calls; Shutdown takes a context
package rpc
