package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	cleavev1 "github.com/cleavehq/cleave/proto/cleave/v1"
)

// Limits of rates and of mirrors.
const (
	maxRates = 4
	maxName  = 100 // bytes of a service and of a version
)

// Scope is whose calls a rate counts together.
type Scope string

// The scopes.
const (
	Caller Scope = "caller"
	Route  Scope = "route"
	Tenant Scope = "tenant"
)

// Rate is how often a method may be called, by whom together.
type Rate struct {
	Requests int      `json:"requests"`
	Per      Duration `json:"per"`
	// Scope is Caller when it is empty.
	Scope Scope `json:"scope,omitempty"`
}

// Rates count all together, each scope once; none is no limit. In JSON one of them may stand alone, without its list.
type Rates []Rate

// UnmarshalJSON implements json.Unmarshaler. An empty object is no rate.
func (r *Rates) UnmarshalJSON(b []byte) error {
	strict := func(v any) error {
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		return d.Decode(v)
	}
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("[")) {
		var list []Rate
		err := strict(&list)
		*r = list
		return err
	}
	var one Rate
	if err := strict(&one); err != nil {
		return err
	}
	*r = Rates{}
	if one != (Rate{}) {
		*r = Rates{one}
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (r Rates) MarshalJSON() ([]byte, error) {
	switch len(r) {
	case 0:
		return json.Marshal(Rate{})
	case 1:
		return json.Marshal(r[0])
	}
	return json.Marshal([]Rate(r))
}

func (r Rates) validate() error {
	if len(r) > maxRates {
		return fmt.Errorf("%d rates, more than %d", len(r), maxRates)
	}
	seen := map[Scope]bool{}
	for i := range r {
		if r[i].Scope == "" {
			r[i].Scope = Caller
		}
		switch {
		case r[i].Requests < 1 || r[i].Requests > maxRate || !within(r[i].Per, minPer, maxTime):
			return fmt.Errorf("a rate of %d in %v, which is none of 1 to %d in %v to %v", r[i].Requests, time.Duration(r[i].Per), maxRate, minPer, maxTime)
		case !slices.Contains([]Scope{Caller, Route, Tenant}, r[i].Scope):
			return fmt.Errorf("a rate of the scope %.20q, which is none of caller, route, tenant", r[i].Scope)
		case seen[r[i].Scope]:
			return fmt.Errorf("two rates of the scope %s", r[i].Scope)
		}
		seen[r[i].Scope] = true
	}
	return nil
}

func ratesOf(o *cleavev1.Policy) *Rates {
	all := o.GetRates()
	if r := o.GetRate(); r != nil {
		all = append([]*cleavev1.Rate{r}, all...)
	}
	if len(all) == 0 {
		return nil
	}
	out := make(Rates, 0, len(all))
	for _, r := range all {
		next := Rate{Requests: int(r.GetRequests()), Per: Duration(time.Second), Scope: Scope(enum(r.GetScope().String(), "RATE_SCOPE_"))}
		if per := r.GetPer(); per != nil {
			next.Per = *duration(per)
		}
		out = append(out, next)
	}
	return &out
}

// enum is the name of a value in JSON; empty for the unspecified one.
func enum(name, prefix string) string {
	name = strings.ToLower(strings.TrimPrefix(name, prefix))
	if name == "unspecified" {
		return ""
	}
	return name
}

// Mirror is where copies of calls go; the zero value is nowhere.
type Mirror struct {
	Service string `json:"service,omitempty"`
	Version string `json:"version,omitempty"`
	Percent int    `json:"percent"`
}

func (m Mirror) validate() error {
	switch {
	case m == Mirror{}:
		return nil
	case m.Percent < 1 || m.Percent > 100:
		return fmt.Errorf("a mirror of %d percent, which is none of 1 to 100", m.Percent)
	case m.Service == "" && m.Version == "":
		return errors.New("a mirror without a service or a version")
	case len(m.Service) > maxName || len(m.Version) > maxName:
		return fmt.Errorf("a mirror whose names have more than %d bytes", maxName)
	}
	return nil
}
