// Package resilience keeps a service that is slow, broken or overloaded from taking its callers down with it. It is middleware for any
// go-micro v4 service, its circuit breakers and bulkheads over the policies of
// github.com/failsafe-go/failsafe-go:
//
//   - [Client] is a client.Wrapper: a circuit breaker for each method of each service, and a bulkhead, which bounds the calls that wait
//     for one service at the same time. What they refuse was never sent, and is answered at once.
//   - [Server] is a server.HandlerWrapper: an adaptive concurrency limit. It learns how many calls there are processors for, lets others wait
//     for their turn, the most important first, and refuses early who would wait for too long.
//   - [Gate] is that for all services of a process, where calls come in: rpc.ServerConfig.Admit takes it.
//   - [Rules] say what holds for each method: the defaults, its contract's options (proto/cleave/v1/resilience.proto), an operator's word.
//
// What is refused is codes.Unavailable with one of the Reasons: HTTP 503 at the edge, with Retry-After. Retries, their budget, deadlines and
// the ejection of instances that don't answer belong to the client itself: package rpc has them.
package resilience

// Reasons of what is refused.
const (
	// ReasonCircuitOpen says that too many of the last calls of the method failed, so that this one wasn't sent.
	ReasonCircuitOpen = "CIRCUIT_OPEN"
	// ReasonBulkheadFull says that too many calls wait for the service already, so that this one wasn't sent.
	ReasonBulkheadFull = "BULKHEAD_FULL"
	// ReasonOverloaded says that the service runs as many calls as it can.
	ReasonOverloaded = "OVERLOADED"
)
