package api

import (
	"slices"
	"strings"

	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/chassis/schema"
)

// Policy is what the gateway does with a method, and who decided each value.
type Policy = policy.Policy

// Policies are those of every method and every event of some contracts, by name, under an operator's overrides. What is wrong is in bad, by the name of the
// method or of the override: such a method is not offered, and such an override is not taken.
func Policies(contracts []*schema.Contract, overrides map[string][]byte) (out []Policy, bad map[string]error) {
	said, bad := policy.Overrides{}.Next(overrides)
	for _, c := range contracts {
		for _, sd := range c.Services {
			for i := range sd.Methods().Len() {
				p, err := said.Of(sd.Methods().Get(i))
				if err != nil {
					bad[p.Method] = err
					continue
				}
				out = append(out, p)
			}
		}
		for _, md := range c.Events {
			p, err := said.OfEvent(md)
			if err != nil {
				bad[p.Method] = err
				continue
			}
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Policy) int { return strings.Compare(a.Method, b.Method) })
	return out, bad
}

// CheckOverride says what is wrong with an override, or nil.
func CheckOverride(name string, document []byte) error { return policy.Check(name, document) }
