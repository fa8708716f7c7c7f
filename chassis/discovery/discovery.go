// Package discovery holds two go-micro registries that never make a caller wait for the network once they have answered.
//
// Both keep a snapshot in memory, fed from outside: [Consul] by blocking queries, [MDNS] by multicast announcements and
// periodic questions. GetService, ListServices and Watch read the snapshot. The two rules they share:
//
//   - An error never empties a snapshot. The last good answer stands until a better one arrives.
//   - ListServices returns whole services (versions and instances), and only those that have an instance to call.
//
// What a watcher gets: first a "create" for everything already known, so that there is nothing to list beforehand, then
// each change. A "create" (the first instance of a version) and an "update" (instances added or changed) carry every
// instance of that version; a "delete" carries only the instances that went, which is how go-micro's own registry/cache
// reads them. A slow reader misses no final state: changes that cancel out between two calls of Next are never reported.
//
// What they return is shared and must not be changed: instances' metadata maps and endpoints belong to the snapshot.
package discovery
