// Package mesh gives each module an identity of its own, a certificate, and refuses calls of those who show none or whom no intention allows.
//
// An identity is a SPIFFE ID in an X.509 certificate, spiffe://TRUST-DOMAIN/ns/default/dc/DC/svc/NAME, as Consul's built-in CA signs it
// (https://developer.hashicorp.com/consul/docs/connect/connect-internals, https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md).
// Where certificates and intentions come from is a Source: Consul is one, package meshtest has another.
//
// A server with an identity speaks TLS 1.3 only, on gRPC, the fast lane and go-micro's own RPC. Who connects may show a certificate: a wrong one
// ends the handshake. Who shows none may ask for health (grpc.health.v1), as Consul's checks do, and nothing else: the identity is looked at
// for each call, before a byte of its request is decoded. Then the intentions are asked, by the names of the caller and of the one that is
// called: what names both wins over what names the one that is called, then the caller, then none; then the default. They are kept in memory,
// so that a call waits for nobody; when the source is away, the last answer holds.
//
// A client with an identity calls only those who prove to be the service that it means.
//
// Certificates and roots change under way: each handshake has the newest, and a client renews its connections when its certificate has
// changed. No call fails of it. A connection whose caller's certificate has expired is good for no further call.
//
// Calls within a process are not looked at: its modules share one memory, and no certificate keeps them apart.
//
// # Limits
//
//	first certificate   10 s     Config.Wait: Identity fails when its certificate, the roots or the intentions don't come
//	log                 10 s     a refusal of one kind, caller and called one is logged once in that time, with how many there were
//	names               256      different ones in the log's memory; more are logged as they come, at most one in 10 s
package mesh
