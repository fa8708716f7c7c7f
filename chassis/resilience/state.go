package resilience

import (
	"cmp"
	"slices"
)

// State is what a process does to keep itself and others from harm, now.
type State struct {
	// Methods that were called, each with its settings and who decided them.
	Methods []MethodState `json:"methods"`
	// Bulkheads of the services that were called.
	Bulkheads []Bulkhead `json:"bulkheads"`
	// Limits of the services whose calls came in.
	Limits []Limit `json:"limits"`
	// Rejected are overrides of an operator that are wrong, and why.
	Rejected map[string]string `json:"rejected"`
}

// MethodState is a method as its callers in this process have it.
type MethodState struct {
	Service  string `json:"service"`
	Endpoint string `json:"endpoint"`
	Settings
	// Circuit is closed, open or half-open; "off" when it has none.
	Circuit string `json:"circuit"`
	// FailureRate of the circuit's window, from 0 to 1.
	FailureRate float64 `json:"failure_rate"`
	Running     int64   `json:"running"`
}

// Bulkhead is how many calls of a service are under way, and may be.
type Bulkhead struct {
	Service string `json:"service"`
	Running int    `json:"running"`
	Most    int    `json:"most"`
}

// StateOf says it of a client and a gate, either of which may be nil.
func StateOf(c *Client, g *Gate, rules *Rules) State {
	s := State{Methods: []MethodState{}, Bulkheads: []Bulkhead{}, Limits: append([]Limit{}, g.Limits()...), Rejected: rules.Rejected()}
	if c == nil {
		return s
	}
	for id, g := range *c.guards.Load() {
		m := MethodState{Service: id.service, Endpoint: id.endpoint, Settings: g.settings, Circuit: "off", Running: g.running.Load()}
		if g.circuit != nil {
			m.Circuit, m.FailureRate = g.circuit.State().String(), g.circuit.Metrics().FailureRate()
		}
		s.Methods = append(s.Methods, m)
	}
	slices.SortFunc(s.Methods, func(a, b MethodState) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Endpoint, b.Endpoint))
	})
	c.mu.Lock()
	for name, room := range c.services {
		s.Bulkheads = append(s.Bulkheads, Bulkhead{name, len(room), cap(room)})
	}
	c.mu.Unlock()
	slices.SortFunc(s.Bulkheads, func(a, b Bulkhead) int { return cmp.Compare(a.Service, b.Service) })
	return s
}
