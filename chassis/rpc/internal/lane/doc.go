// Package lane is the fast lane between two hosts of Cleave: calls and streams of protobuf messages, multiplexed over one connection.
// docs/lane.md specifies what goes over the wire.
//
// # Limits
//
//	message       what each side says in its settings; at most 16 MiB - 64 KiB
//	head          64 KiB    path, trace and metadata of a call, or an error
//	calls         what the server says in its settings; further ones wait at the client
//	window        what each side says in its settings; a sender of a stream waits when it is used up
//	to be written 1 MiB     on one connection; then senders wait
package lane
