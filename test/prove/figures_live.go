package main

import "math"

// live are those of settings and faults that change while processes run: in short ten rounds, in full a hundred.
func live(full bool) []bound {
	many := math.Inf(1)
	rounds, requests := 10.0, 400.0
	if full {
		rounds, requests = 100, 20_000
	}
	return []bound{
		{"config_changes", 2 * rounds, many},
		{"config_in_force_after", 0, 1000}, // ms
		{"config_bad_values_tried", rounds, many},
		{"config_bad_values_in_force", 0, 0},
		{"config_requests_sent", requests, many},
		{"config_requests_failed", 0, 0},
	}
}
