package main

import "math"

// meshed are those of certificates that change under load. In full they change every ten seconds for two minutes, those of an authority for tests
// and those of a real Consul; in short as often, and faster. The least of a load is half of what its rate makes in the time.
func meshed(full bool) []bound {
	many := math.Inf(1)
	sent, roots := 600.0, 3.0
	if full {
		sent, roots = 24_000, 13
	}
	return []bound{
		{"mesh_rotations", 12, 12},
		{"mesh_rotation_calls_sent", sent, many},
		{"mesh_rotation_calls_failed", 0, 0},
		{"mesh_consul_roots", roots, roots},
		{"mesh_consul_root_calls_sent", 10, many},
		{"mesh_consul_root_calls_failed", 0, 0},
	}
}
