// Package api is the edge: a gateway that learns its routes from the services themselves.
//
// It watches the registry. For each instance it asks, by gRPC server reflection, what the service offers, once for each schema hash, and
// makes a route of every google.api.http rule. A service that appears is routed without a restart; one that leaves is gone; when the
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
// as it is, whatever its type, and the request's headers go into a field `map<string, string> headers` beside it. A server stream is sent as NDJSON, one message a line; an error in the
// middle of it is a last line {"error": problem}, and the connection is cut. Methods that take a stream have no route.
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
// request still runs is 409 with Retry-After. And Authorization, when there is one, and it is a bearer token of at most 8 KiB: the services
// verify it (package authn). And X-Forwarded-For, which is the gateway's own word: the client's IP address, when the peer has a public one, or
// when it has a private one, as a proxy has, and says whom it speaks for. And X-Session, when it is 1 to 128 visible ASCII characters: no module
// looks at it; a rule of the topology may keep its calls on one side (topology.Rule.Sticky). No other header becomes metadata: nothing a client
// sends can pass for something a module said.
//
// # Limits
//
//	body           4 MiB    MaxBody; over it 413
//	headers        64 KiB   MaxHeader, with the address; over it 431 (over 1 MiB net/http's own, without a problem document)
//	JSON depth     100      over it 400
//	header time    5 s      from a connection's first byte
//	read time      30 s     of a whole request; a slower body is 408
//	write time     30 s     of one write of an answer
//	idle time      2 min    of a connection between requests
//	call           10 s     Timeout, of a unary call; over it 504
//	in flight      4,096    MaxInFlight requests; over it 503 with Retry-After
//	connections    10,000   MaxConns; further ones wait in the kernel's queue
//	contract       16 MiB   one answer of reflection; 1,024 files, 256 services
package api
