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
		{"commands_with_lost_answers", 35, many},
		{"stories_told_while_a_module_moves", 2, many},
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

// topology are those of modules that move: in short once each, and one death for each party; in full ten moves each, and a death in each of
// ten more.
func topology(full bool) []bound {
	many := math.Inf(1)
	moves, reads, checkouts, deaths, orders, slower := 6.0, 800.0, 30.0, 6.0, 50.0, many // so few have no p99 to speak of
	if full {
		moves, reads, checkouts, deaths, orders, slower = 60, 10_000, 400, 30, 250, 2
	}
	return []bound{
		{"move_moves", moves, many},
		{"move_longest", 0, 15}, // s
		{"move_reads_sent", reads, many},
		{"move_checkouts_sent", checkouts, many},
		{"move_requests_failed", 0, 0},
		{"move_p99", 0, 2000}, // ms
		{"move_p99_of_before", 0, slower},
		{"move_killed_reads_failed", 0, 0},
		{"move_killed_checkouts_failed", 0, 0}, // sent again when they had no clear answer
		{"move_interrupted_requests_failed", 0, 0},
		{"move_to_a_slow_host_reads_failed", 0, 0},
		{"move_to_a_failing_host_reads_failed", 0, 0},
		{"canary_calls", 6, 14}, // %
		{"canary_customers_split", 0, 0},
		{"move_chaos_moves", deaths, many},
		{"move_chaos_acknowledged_orders", orders, many},
		{"move_chaos_acknowledged_orders_lost", 0, 0},
		{"move_chaos_verify_broken", 0, 0},
		{"move_chaos_worst_recovery", 0, 60}, // s
	}
}

// speed are those of the benchmarks: what the issue of direct calls and of the fast lane asks for, and that each row of a table was measured.
func speed() []bound {
	many := math.Inf(1)
	out := []bound{
		{"lane_throughput_vs_grpc", 3, many},
		{"lane_cpu_vs_grpc", 0, 0.334},
		{"lane_p99_vs_grpc", 0, 0.5},
		{"lane_p50_at_1_vs_grpc", 0, 0.6},
		{"lane_throughput_vs_micro_grpc", 7, many},
		{"stream_1_vs_grpc", 2, many},
		{"stream_16_vs_grpc", 2, many},
		{"stream_backlog_when_reader_stops", 1, 8 << 20}, // bytes
		{"direct_on", 0, 1500},                           // ns
		{"direct_on_allocations", 0, 8},
		{"direct_on_copied", 0, many}, // ns
		{"direct_on_copied_allocations", 0, 8},
		{"direct_bare", 0, 400}, // ns
		{"direct_on_at_reference", 0, many},
		{"direct_on_copied_at_reference", 0, many},
		{"direct_bare_at_reference", 0, many}, // ns; what was measured is what is bounded
		{"direct_vs_micro_grpc", 100, many},
		{"growth_8_modules_direct", 0, many}, // us
		{"growth_8_modules_lane", 0, many},   // us
		{"growth_8_modules_lane_vs_micro_grpc", 0, 0.6},
		{"growth_8_modules_lane_cpu_vs_micro_grpc", 0, 0.5},
		{"growth_50_instances_vs_one_p50", 0, 8},
		{"growth_50_instances_vs_one_cpu", 0, 5},
		{"growth_50_instances_cpu_vs_micro_grpc", 0, 0.5},
	}
	for _, request := range []string{"products_at_1", "products_at_16", "checkout_at_1", "checkout_at_16"} {
		out = append(out, bound{"placement_" + request + "_p50_ratio", 0, many}, // of a checkout the disk decides
			bound{"placement_" + request + "_cpu_ratio", 1, many}, bound{"placement_" + request + "_failed", 0, 0})
	}
	return out
}
