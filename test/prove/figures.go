package main

import "math"

// bound is a figure that has to be measured, and between what.
type bound struct {
	name        string
	least, most float64
}

// system are the figures that the running system is judged by. The tests fail by themselves when one is too large; here it is also noticed
// when one is missing, and when too few requests were sent for "none failed" to mean anything. The least of a load is nine tenths of
// what its rate (test/robustness: 200 reads and 20 writes a second) makes in the time that the test takes.
func system() []bound {
	many := math.Inf(1)
	return []bound{
		{"topologies_without_the_story", 0, 0},
		{"bad_inputs_answered_wrongly", 0, 0},
		{"new_module_routable_after_passing", 0, 1000}, // ms
		{"kill9_reads_sent", 200 * 13 * 0.9, many},
		{"kill9_reads_failed", 0, 0},
		{"kill9_writes_sent", 20 * 13 * 0.9, many},
		{"kill9_writes_failed", 0, 2},               // at most those in flight
		{"kill9_critical_in_consul_after", 0, 5000}, // ms
		{"sigterm_requests_sent", 220 * 5 * 0.9, many},
		{"sigterm_requests_failed", 0, 0},
		{"consul_frozen_requests_sent", 220 * 52 * 0.9, many},
		{"consul_frozen_requests_failed", 0, 0},
		{"consul_restarted_empty_requests_sent", 220 * 52 * 0.9, many},
		{"consul_restarted_empty_requests_failed", 0, 0},
		{"stock_cli_calls_that_failed", 0, 0},
		{"modules_without_standard_grpc", 0, 0},
		{"secrets_found", 0, 0},
	}
}

// shop are those of the shop's data, whatever fails. How many checkouts are tried, and of how many faults, depends on the form: the full one
// kills at every failpoint that there is, on PostgreSQL, and at eight of them on SQLite and in one process.
func shop(full bool) []bound {
	many := math.Inf(1)
	attempted, rows, points, nemesis, seconds := 200.0, 11.0, 4.0, 20.0, 10.0
	if full {
		attempted, rows, points, nemesis, seconds = 12_000, 35, 66+8+8, 10_000, 300
	}
	return []bound{
		{"shop_faults", rows, many},
		{"shop_failpoints_killed_at", points, many},
		{"shop_failpoints_not_reached", 0, 0},
		{"shop_nemesis_lasted", seconds, many}, // s
		{"shop_nemesis_checkouts_attempted", nemesis, many},
		{"shop_checkouts_attempted", attempted, many},
		{"shop_checkouts_acknowledged", attempted / 2, many},
		{"shop_orders_lost", 0, 0},
		{"shop_oversold", 0, 0},
		{"shop_double_charges", 0, 0},
		{"shop_orders_stuck", 0, 0},
		{"shop_recovery_worst", 0, 60}, // s
		{"shop_last_units_sold", 10, 10},
		{"shop_last_units_refused", 190, 190},
		{"shop_last_units_linearizable", 1, 1},
		{"shop_last_coupons_used", 10, 10},
	}
}

// topology are those of modules that move.
func topology() []bound {
	many := math.Inf(1)
	return []bound{
		{"move_longest", 0, 15}, // s
		{"move_reads_sent", 1000, many},
		{"move_checkouts_sent", 40, many},
		{"move_requests_failed", 0, 0},
		{"move_p99", 0, 2000}, // ms
		{"move_killed_reads_failed", 0, 0},
		{"move_killed_checkouts_failed", 0, 2}, // at most those in flight
	}
}
