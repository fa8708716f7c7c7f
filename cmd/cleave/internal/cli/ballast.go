package cli

// ballast is 32 MiB that nobody writes to, and that therefore take no memory: only the collector counts them, and so waits for as much garbage, and
// more, before it runs. A gateway has little that lives and makes much that doesn't; without this it would collect at every 4 MiB, which is some
// hundred times a second. What it costs is at most so much garbage at once. GOGC and GOMEMLIMIT mean what they mean anywhere.
func ballast() []byte { return make([]byte, 32<<20) }
