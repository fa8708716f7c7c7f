// Package authn tells a service who calls it: it verifies access tokens, and knows nothing of who makes them.
//
// A token is a JWT signed with EdDSA over Ed25519 (RFC 8037). Nothing else is taken: the algorithm is the verifier's choice, never the
// token's, so that "none" and a public key that is used as an HMAC secret come to nothing. Issuer, audience, expiry, issue time, subject and
// token id must all be there and right. Keys come from a [KeySource] and are kept: a key that is new is asked for when the first token
// names it, at most every few seconds, whatever callers send; when the source is away, the last good keys go on.
//
// A service asks with [Verifier.Caller] in a handler, or puts [Wrapper] before all of them and asks [From]. Any go-micro v4 service can: the
// token is in the metadata "Authorization: Bearer TOKEN".
//
// # Limits
//
//	token      8 KiB    longer ones aren't looked at
//	leeway     30 s     Leeway, between the clocks
//	keys       100      of one source; 1 MiB of JSON
//	max age    10 min   MaxAge: then the keys are asked for again, while the old ones go on
//	max stale  24 h     MaxStale: then keys that couldn't be asked for again are no longer believed
//	interval   5 s      Interval, between two questions to the source, however many tokens name unknown keys
//	question   5 s      of one question
package authn
