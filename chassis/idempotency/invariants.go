package idempotency

import "github.com/cleavehq/cleave/chassis/verify"

// Invariants are the laws of the table of keys.
func Invariants() []verify.Check {
	return []verify.Check{{
		Name: "keys_have_answers",
		Law:  "a key is kept with its answer, or not at all",
		SQL:  "SELECT scope, client_key, outcome FROM idempotency_keys WHERE outcome = 0 OR expires_at <= created_at ORDER BY scope, client_key",
	}}
}
