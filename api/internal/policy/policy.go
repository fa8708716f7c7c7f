// Package policy decides what the edge does with the calls of a method: whether it is offered at all, to whom, for how long, how often,
// and whether the answer is kept. The contract says it (proto/cleave/v1/options.proto), an operator may say otherwise, and each value
// remembers who said it.
package policy

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cleavehq/cleave/chassis/authn"
	cleavev1 "github.com/cleavehq/cleave/proto/cleave/v1"
)

// Limits of what a contract or an operator may say.
const (
	maxScopes  = 16
	minTimeout = time.Millisecond
	maxTimeout = 10 * time.Minute
	maxRate    = 1_000_000
	minPer     = time.Second
	maxTime    = 24 * time.Hour // of a rate's time and of a cache's
)

// Origin is who decided a value.
type Origin string

// The origins. What an operator decided names the key besides: "operator: shop.order.v1.Order/CancelOrder".
const (
	Default Origin = "default"
	File    Origin = "contract: file"
	Service Origin = "contract: service"
	Method  Origin = "contract: method"
)

func operator(key string) Origin { return Origin("operator: " + key) }

// Value is what was decided, and by whom.
type Value[T any] struct {
	Value T      `json:"value"`
	From  Origin `json:"from"`
}

// Access is who may call a method: anybody when Public, else whoever is known and was granted all of Scopes.
type Access struct {
	Public bool     `json:"public"`
	Scopes []string `json:"scopes,omitempty"`
}

// Cache is how long an answer is good for; the zero value is not at all.
type Cache struct {
	MaxAge               Duration `json:"max_age"`
	StaleWhileRevalidate Duration `json:"stale_while_revalidate"`
}

// Duration is a time.Duration that is text in JSON, such as "1m30s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Policy of one method, complete.
type Policy struct {
	// Method is its full name, "shop.order.v1.Order/CancelOrder".
	Method string        `json:"method"`
	Expose Value[bool]   `json:"expose"`
	Access Value[Access] `json:"access"`
	// Timeout of a unary call; 0 for the gateway's own.
	Timeout Value[Duration] `json:"timeout"`
	Rate    Value[Rates]    `json:"rate"`
	Cache   Value[Cache]    `json:"cache"`
	Mirror  Value[Mirror]   `json:"mirror"`
	// Idempotency is protobuf's idempotency_level, which nobody may override: it is a promise of the code.
	Idempotency string `json:"idempotency"`
}

// Name is the name of a method in overrides and in gRPC's paths: "shop.order.v1.Order/CancelOrder".
func Name(md protoreflect.MethodDescriptor) string {
	return string(md.Parent().FullName()) + "/" + string(md.Name())
}

// layer is what one place says; a nil field says nothing.
type layer struct {
	Expose  *bool     `json:"expose"`
	Public  *bool     `json:"public"`
	Scopes  []string  `json:"scopes"`
	Timeout *Duration `json:"timeout"`
	Rate    *Rates    `json:"rate"`
	Cache   *Cache    `json:"cache"`

	Mirror *Mirror `json:"mirror"`
}

// Of returns the policy of a method. An error says what is wrong with what its contract says; such a method must not be offered.
func (o Overrides) Of(md protoreflect.MethodDescriptor) (Policy, error) {
	level := idempotency(md)
	p := Policy{
		Method: Name(md), Idempotency: level.String(),
		Expose: Value[bool]{From: Default}, Access: Value[Access]{From: Default}, Timeout: Value[Duration]{From: Default},
		Rate: Value[Rates]{From: Default}, Cache: Value[Cache]{From: Default},
		Mirror: Value[Mirror]{From: Default},
	}
	for _, said := range []struct {
		options protoreflect.ProtoMessage
		ext     protoreflect.ExtensionType
		from    Origin
	}{
		{md.ParentFile().Options(), cleavev1.E_File, File}, {md.Parent().Options(), cleavev1.E_Service, Service}, {md.Options(), cleavev1.E_Method, Method},
	} {
		opt, ok := proto.GetExtension(said.options, said.ext).(*cleavev1.Policy)
		if !ok || opt == nil {
			continue
		}
		l := ofContract(opt)
		if err := l.validate(); err != nil {
			return p, fmt.Errorf("%s says %w", said.from, err)
		}
		p.take(l, said.from)
	}
	for _, key := range []string{string(md.Parent().FullName()) + "/*", p.Method} {
		if l, ok := o.layers[key]; ok {
			p.take(l, operator(key))
		}
	}
	if level != descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
		if err := p.safeOnly(); err != nil {
			return p, err
		}
	}
	return p, nil
}

// safeOnly takes away what is for methods with NO_SIDE_EFFECTS only: a service's default is for those of its methods that it fits.
func (p *Policy) safeOnly() error {
	if p.Cache.From == Method && p.Cache.Value != (Cache{}) || p.Mirror.From == Method && p.Mirror.Value != (Mirror{}) {
		return errors.New("cache and mirror are for methods with NO_SIDE_EFFECTS only")
	}
	if p.Cache.Value != (Cache{}) {
		p.Cache = Value[Cache]{From: Default}
	}
	if p.Mirror.Value != (Mirror{}) {
		p.Mirror = Value[Mirror]{From: Default}
	}
	return nil
}

func idempotency(md protoreflect.MethodDescriptor) descriptorpb.MethodOptions_IdempotencyLevel {
	if o, ok := md.Options().(*descriptorpb.MethodOptions); ok {
		return o.GetIdempotencyLevel()
	}
	return descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}

func ofContract(o *cleavev1.Policy) layer {
	l := layer{Expose: o.Expose, Public: o.Public, Scopes: o.GetScopes()}
	if t := o.GetTimeout(); t != nil {
		l.Timeout = duration(t)
	}
	l.Rate = ratesOf(o)
	if m := o.GetMirror(); m != nil {
		l.Mirror = &Mirror{Service: m.GetService(), Version: m.GetVersion(), Percent: int(m.GetPercent())}
	}
	if c := o.GetCache(); c != nil {
		l.Cache = &Cache{MaxAge: *duration(c.GetMaxAge()), StaleWhileRevalidate: *duration(c.GetStaleWhileRevalidate())}
	}
	return l
}

func duration(d *durationpb.Duration) *Duration {
	out := Duration(d.AsDuration())
	return &out
}

// take puts what a layer says over what was said before.
func (p *Policy) take(l layer, from Origin) {
	if l.Expose != nil {
		p.Expose = Value[bool]{*l.Expose, from}
	}
	if l.Public != nil || l.Scopes != nil {
		p.Access = Value[Access]{Access{Public: l.Public != nil && *l.Public, Scopes: l.Scopes}, from}
	}
	if l.Timeout != nil {
		p.Timeout = Value[Duration]{*l.Timeout, from}
	}
	if l.Rate != nil {
		p.Rate = Value[Rates]{*l.Rate, from}
	}
	if l.Cache != nil {
		p.Cache = Value[Cache]{*l.Cache, from}
	}
	if l.Mirror != nil {
		p.Mirror = Value[Mirror]{*l.Mirror, from}
	}
}

func (l layer) validate() error {
	switch {
	case l.Public != nil && *l.Public && len(l.Scopes) > 0:
		return errors.New("public and scopes, which exclude each other")
	case len(l.Scopes) > maxScopes:
		return fmt.Errorf("%d scopes, more than %d", len(l.Scopes), maxScopes)
	case l.Timeout != nil && !within(*l.Timeout, minTimeout, maxTimeout):
		return fmt.Errorf("a timeout of %v, which is none from %v to %v", time.Duration(*l.Timeout), minTimeout, maxTimeout)
	case l.Cache != nil && *l.Cache != (Cache{}) &&
		(!within(l.Cache.MaxAge, minPer, maxTime) || !within(l.Cache.StaleWhileRevalidate, 0, maxTime)):
		return fmt.Errorf("a cache of %v and %v, which is none of %v to %v", time.Duration(l.Cache.MaxAge), time.Duration(l.Cache.StaleWhileRevalidate), minPer, maxTime)
	}
	if l.Rate != nil {
		if err := l.Rate.validate(); err != nil {
			return err
		}
	}
	if l.Mirror != nil {
		if err := l.Mirror.validate(); err != nil {
			return err
		}
	}
	for _, s := range l.Scopes {
		if !ValidScope(s) {
			return fmt.Errorf("the scope %q, which is no name such as catalog.write", s)
		}
	}
	return nil
}

func within(d Duration, low, high time.Duration) bool {
	return time.Duration(d) >= low && time.Duration(d) <= high
}

// ValidScope reports whether s may be the scope that a method needs: RFC 6749's scope-token, and no grant's wildcard.
func ValidScope(s string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9_:/-]+(\.[A-Za-z0-9_:/-]+)*$`).MatchString(s) && len(s) <= 128
}

// Grants is authn.Grants.
func Grants(grants []string, scope string) bool { return authn.Grants(grants, scope) }

// Missing returns the first scope that grants don't cover, or "".
func (a Access) Missing(grants []string) string {
	for _, s := range a.Scopes {
		if !Grants(grants, s) {
			return s
		}
	}
	return ""
}
