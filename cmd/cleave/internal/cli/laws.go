package cli

import (
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/outbox"
	"github.com/cleavehq/cleave/chassis/verify"
)

// chassisLaws are those of the library's tables, which every module's database has.
func chassisLaws() []verify.Check { return append(outbox.Invariants(), idempotency.Invariants()...) }

// acrossLaws are those between modules: the library's, and the program's own.
func (a *app) acrossLaws(modules []verify.Module) []verify.Across {
	names := make([]string, len(modules))
	for i, m := range modules {
		names[i] = m.Name
	}
	return append([]verify.Across{outbox.EventsApplied(names...)}, a.env.Laws...)
}
