package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/api/internal/policy"
)

// AdminHandlers are the pages for those who run the gateway, by the pattern of http.ServeMux. They name what is hidden and ask nobody who he is,
// and so belong on a listener of their own (package admin), never on the gateway's port.
//
//	GET /routes  the routes in force, those left out and why, the instances that calls go to, requests in flight and open streams
//	GET /policy  the policy of every method, offered or not: each value, and who decided it
func (g *Gateway) AdminHandlers() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /routes": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { show(w, g.state()) }),
		"GET /policy": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { show(w, g.policies()) }),
	}
}

func show(w http.ResponseWriter, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(append(b, '\n')) // who asked may be gone
}

// state is what /routes shows.
type state struct {
	Ready       bool            `json:"ready"`
	Draining    bool            `json:"draining"`
	InFlight    int             `json:"requests_in_flight"`
	MaxInFlight int             `json:"max_requests_in_flight"`
	Streams     int             `json:"open_streams"`
	MaxStreams  int             `json:"max_open_streams"`
	Gateways    int             `json:"gateways"` // in the registry: rates are divided by them
	Routes      []indexRoute    `json:"routes"`
	LeftOut     []string        `json:"left_out"`
	Upstreams   []upstreamState `json:"upstreams"`
}

// upstreamState is an instance that is in the registry now, and the contract it has.
type upstreamState struct {
	Service  string `json:"service"`
	ID       string `json:"id"`
	Address  string `json:"address"`
	Version  string `json:"version,omitempty"`
	Started  string `json:"started,omitempty"`
	Schema   string `json:"schema"`
	Contract bool   `json:"contract_known"`
}

func (g *Gateway) state() state {
	s := state{
		Draining: g.draining.Load(), InFlight: len(g.inFlight), MaxInFlight: cap(g.inFlight),
		Streams: len(g.streams.slots), MaxStreams: cap(g.streams.slots), Gateways: int(g.gateways.Load()),
		Routes: []indexRoute{}, LeftOut: []string{}, Upstreams: []upstreamState{},
	}
	t := g.table.Load()
	if t == nil {
		return s
	}
	s.Ready = !s.Draining
	for _, e := range t.endpoints {
		s.Routes = append(s.Routes, indexRoute{Method: e.method, Path: e.template.String(), Service: e.service, Endpoint: e.name})
	}
	for text := range t.leftOut {
		s.LeftOut = append(s.LeftOut, text)
	}
	slices.Sort(s.LeftOut)
	for _, o := range t.offers {
		for _, n := range o.nodes {
			s.Upstreams = append(s.Upstreams, upstreamOf(o, n))
		}
	}
	slices.SortStableFunc(s.Upstreams, func(a, b upstreamState) int { return strings.Compare(a.Service, b.Service) })
	return s
}

func upstreamOf(o *offer, n *registry.Node) upstreamState {
	return upstreamState{
		Service: o.service, ID: n.Id, Address: n.Address, Version: n.Metadata["version"], Started: n.Metadata["started"], Schema: o.hash,
		Contract: o.contract != nil,
	}
}

// policies are those in force, of every method.
func (g *Gateway) policies() []*policy.Policy {
	all := []*policy.Policy{}
	if t := g.table.Load(); t != nil {
		all = append(all, t.policies...)
	}
	slices.SortFunc(all, func(a, b *policy.Policy) int { return strings.Compare(a.Method, b.Method) })
	return all
}
