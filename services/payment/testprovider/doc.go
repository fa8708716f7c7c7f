// Package testprovider is a stand-in for a payment provider: deterministic, and hostile on request. No money moves.
//
// Its memory is a SQLite file, test_provider.db, which is the bank's and not the module's: it survives a kill -9, several processes may
// share it, and a test can count in it what was charged for an order. It is not made for a power cut.
//
// The token decides what happens. N is a number, 1 when it and its underscore are left out:
//
//	tok_visa, tok_mastercard      approved
//	tok_declined                  declined, card_declined
//	tok_insufficient_funds        declined, insufficient_funds
//	tok_expired_card              declined, expired_card
//	tok_timeout_after_charge_N    approved, but the first N answers are lost: a deadline error, at once
//	tok_hang_after_charge_N       approved, but the first N answers never come: the call ends with its context
//	tok_slow_N                    approved, after N ms
//	tok_unavailable_N             ErrUnavailable N times, before anything is done, then approved; without _N always
//	tok_capture_timeout_N         approved, but the first N answers to Capture are lost; so with void and refund
//	tok_capture_unavailable_N     approved, but Capture is ErrUnavailable N times; so with void and refund
//	tok_refund_declined           approved, but each refund is declined, refund_refused
//	tok_webhook_twice             approved, and each event is delivered twice
//	tok_webhook_late_N            approved, and each event is delivered N ms after it happened
//	tok_webhook_disorder          approved, and the events are delivered a second apart, the last first
//	tok_webhook_never             approved, and no event is delivered
//	any other                     declined, invalid_token
//
// A hostile provider, Config.Hostile, treats an approved card as one of the others: which, is drawn by the seed and the idempotency key,
// so that a run can be had again.
package testprovider
