// Package wirejson turns protobuf's wire format into JSON and back, with no message in between. A Codec is compiled from descriptors, once
// for each schema, into a table per message; the bytes then go from one form to the other in one pass.
//
// # What is the same as protojson's
//
// AppendJSON writes the bytes that proto.Unmarshal and protojson.Marshal of google.golang.org/protobuf make together, without the spaces
// that protojson puts after commas, at random for each build: fields in the order of their declaration, extensions after them by name, map
// entries by key. It refuses what those two refuse. AppendWire takes and refuses what protojson.Unmarshal does. The tests compare both
// directions with both libraries, on generated and on dynamic messages.
//
// # What is not
//
//   - The fields on the wire stand in the order of the JSON, not by number. Their meaning is the same: the encoding document calls the order
//     an implementation detail. The value of a google.protobuf.Any is canonical, as protojson's.
//   - Options.Depth counts through a google.protobuf.Any on the wire, where proto.Unmarshal begins to count anew.
//   - A google.protobuf type whose descriptor is not the published one is an error, where protojson panics or guesses.
//   - A message set is an error wherever it is, as for a dynamic message. A generated one is taken when nobody looks at it.
//   - An error says what is wrong and where, in other words than protojson's.
//   - AppendJSON stops at Options.MaxJSON bytes: a message of a few bytes can have defaults of some thousand.
//
// Sources: https://protobuf.dev/programming-guides/encoding/ and https://protobuf.dev/programming-guides/json/.
package wirejson
