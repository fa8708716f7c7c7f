// Package api is the edge: a gateway that learns its routes from the services themselves.
//
// It watches the registry. For each instance it asks, by gRPC server reflection, what the service offers, once for each schema hash, and
// makes a route of every google.api.http rule of the methods that their contract, or an operator, exposes. A service that appears is routed without a restart; one that leaves is gone; when the
// registry doesn't answer, the last good routes stay, and so do those of a service whose new contract can't be read. When instances have
// different contracts, the newest one that has a method describes it, and the call goes to instances that have it. Of two services with
// one route the one that had it first keeps it; the other's is logged and counted. Calls go through a go-micro client, chassis/rpc's.
//
// # Requests
//
// Paths, query parameters and bodies go into the request message as google/api/http.proto says: templates with several segments and verbs,
// body, response_body, additional_bindings, parameters of nested fields, well-known types. JSON is protobuf's, with default values in
// responses (protojson's EmitDefaultValues: absent messages and unset optional fields are left out). Nothing is passed over: an unknown
// field or parameter, a field given twice, two of a oneof, a body that says otherwise than the path, text that is not UTF-8 are errors. An
// empty body is an empty message. A field mask takes both forms of a name, displayName and display_name; a PATCH without an update_mask has
// it filled from the keys of its body. HEAD is GET without the body. A body that is a google.api.HttpBody is taken
// as it is, whatever its type, and the request's headers go into a field `map<string, string> headers` beside it.
//
// A server stream is sent as NDJSON, or as Server-Sent Events when Accept wants them more, or over a WebSocket; methods that take a stream are
// reached by WebSocket. The same port speaks gRPC, gRPC-Web, Connect, Twirp and go-micro's RPC, for each method that is offered, over HTTP/1.1
// and HTTP/2. docs/edge.md has the protocols, the frames and what an error is in each of them.
//
// The topics of the broker are below /events, and webhooks that become events below /hooks; docs/topics.md has them.
//
// # Who may call
//
// A method's policy, which stands in its contract and which operators may override, says whether it is offered and to whom; the caller is known by
// an access token, an API key or a client certificate. docs/security.md has all of it.
//
// # What it tells
//
// /openapi.json, /asyncapi.json, the page /docs and the tools of /mcp are made of the routes whenever these change: docs/contracts.md.
//
// # Errors
//
// Every error is a problem document (RFC 9457) with the google.rpc.Code, a reason, the wrong fields, the trace id and the request id. Only
// a request that net/http itself refuses, because it isn't HTTP, gets its plain text.
//
// # What goes upstream
//
// The trace (traceparent, W3C Trace Context, taken from the client or new) and X-Request-Id (the client's, when it is 1 to 128 visible ASCII
// characters, or a new one) and Idempotency-Key (package idempotency: the client's, which must be 1 to 255 visible ASCII characters, else
// 400; without one a new one when the method declares no idempotency_level). A key that was used for another request is 422, one whose
// request still runs is 409 with Retry-After. And Authorization, when it is an access token that was verified, or when no issuer is known; and
// who calls, under Cleave-Caller- (package authn). And X-Forwarded-For, which is the gateway's own word: the client's IP address, when the peer
// has a public one, or when it has a private one, as a proxy has, and says whom it speaks for. And X-Session, when it is 1 to 128 visible ASCII
// characters: no module looks at it; a rule of the topology may keep its calls on one side (topology.Rule.Sticky). Of a public method whose answer
// is kept (docs/traffic.md) none of this goes but the request id and the trace: it is asked for as nobody. No other header becomes
// metadata: nothing a client sends can pass for something a module said.
//
// # Limits
//
//	body           4 MiB    MaxBody; over it 413
//	headers        64 KiB   MaxHeader, with the address; over it 431 (over 1 MiB net/http's own, without a problem document)
//	JSON depth     100      over it 400
//	address        8 KiB    over it 414
//	header lines   100      over it 431
//	header time    5 s      HeaderTimeout, from a connection's first byte
//	read time      30 s     ReadTimeout, of a whole request; a slower body is 408
//	write time     30 s     of one write of an answer
//	idle time      2 min    of a connection between requests
//	call           10 s     Timeout, of a unary call; over it 504
//	in flight      4,096    MaxInFlight requests; over it 503 with Retry-After
//	a service      learned  unary calls of it at once, 64 to 2,000 (MaxCalls); over it they wait 1 s, then 503 with Retry-After
//	kept answers   64 MiB   MaxCache, each at most 1 MiB
//	copies         64       at once; over it none is made
//	streams        4,096    MaxStreams open ones, which are not among those; over it 503
//	heartbeat      15 s     Heartbeat, of a stream that says nothing
//	slow client    10 s     of one message of a stream: it is told, and dropped
//	streams' end   5 s      StreamGrace, when the gateway stops
//	connections    10,000   MaxConns; further ones wait in the kernel's queue
//	access log     1 MiB    that nobody takes; further lines are dropped and counted; 100 lines a second of requests that were refused
//	contract       16 MiB   one answer of reflection; 1,024 files, 256 services
package api
