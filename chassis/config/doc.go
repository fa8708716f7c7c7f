// Package config reads a program's settings from layers, each of which overrides the ones below it:
//
//	flags            those that were given on the command line
//	environment      CLEAVE_CONSUL_ADDR, with a prefix that the program chooses
//	file             YAML
//	store            one value per key: Consul KV under a prefix, or a file of several processes
//	defaults         the value passed to Load
//
// The settings are a struct. One rule gives every setting its name in each layer; of the field `koanf:"addr"` inside the field
// `koanf:"consul"` they are:
//
//	key              consul.addr
//	flag             --consul-addr
//	environment      CLEAVE_CONSUL_ADDR
//	YAML             consul: {addr: ...}
//	Consul KV        PREFIX/consul/addr
//
// Fields are strings, booleans, integers, floats, time.Duration, anything with UnmarshalText, slices of those (in text: separated by
// commas), and structs. A field without a koanf tag is not a setting. Text means the same in every layer: in YAML 0123 is no octal
// number and yes no boolean, they are what a flag would make of them.
//
// # Settings that change
//
// A field `live:"true"` follows the store and the file while the process runs: NewLive, Follow, OnChange. The others are read at the start. What is
// wrong is refused: the last good value stays, and the refusal is logged, counted in config_refused_total and shown by State. A value that was
// good until another one changed is left alone, and what has changed is refused.
//
//	values      64 KiB   each, in Change
//	history     100      changes
//	store       Consul: at once, by a blocking query; a file: 250 ms
//	file        250 ms   until a change is seen
//
// # Secrets
//
// A field `secret:"true"` is never shown, neither in Settings nor in an error; of a field `secret:"url"` all is shown but its password
// and its query. Both may be read from a file, whose path is given by KEY_file instead of KEY: --consul-token-file,
// CLEAVE_CONSUL_TOKEN_FILE, `token_file:`. One line end at the end of such a file is not part of the secret. Consul KV cannot name a
// file of this machine.
//
// # Mistakes
//
// Load reports every mistake it finds, not the first. A key in the file that is no setting is one, with the line it stands in. In the
// environment and in Consul, which are shared with other programs and other versions of this one, such names are left alone and
// listed by Unknown. A field `layers:"local"` is not read from Consul: what is needed to reach Consul, for instance.
package config
