package main

import "math"

// edge are those of the gateway while it is changed and while ten thousand connections do nothing; in short fewer of both.
func edge(full bool) []bound {
	many := math.Inf(1)
	reloads, sent, idle := 8.0, 100.0, 1000.0
	if full {
		reloads, sent, idle = 100, 4000, 10_000
	}
	return []bound{
		{"edge_reloads", reloads, many},
		{"edge_reload_requests_sent", sent, many},
		{"edge_reload_requests_failed", 0, 0},
		{"edge_idle_connections", idle, many},
		{"edge_idle_connection_bytes_h1", 1, 32 << 10}, // bytes
		{"edge_idle_connection_bytes_h2", 1, 64 << 10}, // bytes
		{"h2spec_passed", 270, many},
		{"h2spec_failed", 0, 0}, // but for what is net/http's own
	}
}

// edgeSpeed are those of bench/edge, and of fuzzing. nginx and HAProxy are told of: they only pass on, and are not written in Go.
func edgeSpeed() []bound {
	many := math.Inf(1)
	return []bound{
		{"edge_vs_grpc_gateway", 1.5, many},
		{"edge_vs_vanguard", 1.5, many},
		{"edge_vs_caddy", 1, many},
		{"edge_vs_traefik", 1, many},
		{"edge_vs_krakend", 1, many},
		{"edge_vs_nginx", 0, many},
		{"edge_vs_haproxy", 0, many},
		{"transcode_vs_dynamicpb", 4, many},
		{"transcode_vs_generated", 2, many},
		{"transcode_allocations", 0, 2},
		{"edge_fuzz_minutes", 10 * float64(len(fuzzed())), many},
		{"edge_fuzz_failed", 0, 0},
	}
}
