package main

import "math"

// resilient are the packages of the set "resilience", and theirs the figures that they have to measure. A package that proves another part of
// it is added here, with its bounds.
func resilient() []string {
	return []string{module + "test/resilience", module + "test/live", module + "chassis/mesh", module + "test/mesh", module + "test/telemetry"}
}

// observed are those of telemetry's cost: remote calls with all of it on, beside the same calls without, turn by turn.
func observed() []bound {
	return []bound{
		{"telemetry_on_vs_off_throughput", 0.85, math.Inf(1)},
		{"telemetry_on_vs_off_cpu", 0, math.Inf(1)},
	}
}

// resilience are the figures of the set: long says whether it runs in full. The machine of a short run may be busy with its other tests, so
// that its bounds only say that nothing broke down and that the limit does its work.
func resilience(long bool) []bound {
	many := math.Inf(1)
	out := []bound{
		{"cascade_checkouts_sustained", 1, many}, // 1/s
		{"cascade_first_attempts", 1, many},
		{"cascade_retries", 0, many}, // the test itself compares it with the budget
		{"overload_capacity", 1, many},
	}
	if !long {
		return append(
			out,
			bound{"cascade_list_kept", 50, 100}, bound{"cascade_cart_kept", 50, 100},
			bound{"overload_goodput_kept", 25, 100}, bound{"overload_accepted_late", 0, 40}, bound{"overload_refused_p50", 1, 1000}, // some are refused, and soon
			bound{"overload_unanswered", 0, 20},
		)
	}
	return append(
		out,
		bound{"cascade_list_kept", 95, 100},               // %
		bound{"cascade_list_p99_ratio", 0, 2},             // x
		bound{"cascade_cart_kept", 95, 100},               // %
		bound{"cascade_cart_p99_ratio", 0, 2},             // x
		bound{"cascade_off_list_kept", 0, 100},            // %
		bound{"cascade_off_cart_kept", 0, 100},            // %
		bound{"cascade_off_p99_ratio", 0, many},           // x: for comparison
		bound{"cascade_checkout_told_after", 0, 1},        // s: at once, since the circuit is open
		bound{"cascade_off_checkout_told_after", 1, many}, // s: without the defaults each waits for what hangs
		bound{"overload_unanswered", 0, 0},
		bound{"overload_goodput_kept", 90, 100}, // %
		bound{"overload_accepted_late", 0, 0.1}, // %
		bound{"overload_refused_p50", 0, 100},   // ms
		bound{"overload_refused_p99", 0, 1000},  // ms: who waited for its turn in vain
	)
}
