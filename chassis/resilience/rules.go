package resilience

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/chassis/kv"
)

// Rules say what holds for each method: the defaults, what its contract says (proto/cleave/v1/resilience.proto), and what an operator says.
// They may be used by many goroutines; nil Rules know of no operator.
type Rules struct {
	log      *slog.Logger
	said     atomic.Pointer[overrides]
	rejected prometheus.Counter

	mu  sync.Mutex
	bad map[string]string
}

// overrides are what operators say, by key. They are not changed after they were made.
type overrides struct {
	by  map[string]document
	raw map[string]string
}

// NewRules makes rules that no operator has changed. log and metrics may be nil; metrics receive resilience_overrides_rejected_total.
func NewRules(log *slog.Logger, metrics prometheus.Registerer) (*Rules, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Rules{log: log, rejected: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "resilience_overrides_rejected_total", Help: "Overrides of an operator that were wrong, and not taken.",
	})}
	r.said.Store(&overrides{})
	if metrics == nil {
		return r, nil
	}
	err := metrics.Register(r.rejected)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if have, ok := already.ExistingCollector.(prometheus.Counter); ok {
			r.rejected, err = have, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("resilience: register metrics: %w", err)
	}
	return r, nil
}

// Follow takes an operator's documents, by [CheckOverride]'s keys, and each change of them, until ctx ends; then it returns its error. One
// that is wrong is not taken: what its key said before stays, or nothing. It is logged and counted, once for each text.
func (r *Rules) Follow(ctx context.Context, w kv.Watcher) error {
	return w.Watch(ctx, func(all map[string][]byte) { r.Take(ctx, all) })
}

// Take replaces what an operator says by documents, as Follow does.
func (r *Rules) Take(ctx context.Context, all map[string][]byte) {
	before := r.said.Load()
	next, bad := &overrides{map[string]document{}, map[string]string{}}, map[string]string{}
	for key, b := range all {
		d, err := parseOverride(key, b)
		if err == nil {
			next.by[key], next.raw[key] = d, string(b)
			continue
		}
		bad[key] = err.Error()
		if old, ok := before.by[key]; ok {
			next.by[key], next.raw[key] = old, before.raw[key]
		}
	}
	r.mu.Lock()
	for key, why := range bad {
		if r.bad[key] != why {
			r.rejected.Inc()
			r.log.WarnContext(ctx, "an override of resilience is wrong, and isn't taken", "key", key, "error", why)
		}
	}
	r.bad = bad
	r.mu.Unlock()
	if !maps.Equal(before.raw, next.raw) {
		r.said.Store(next)
		r.log.InfoContext(ctx, "the operator's resilience is in force", "overrides", len(next.by))
	}
}

// Rejected are the overrides that are wrong now, and why.
func (r *Rules) Rejected() map[string]string {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.bad)
}

// version changes whenever what the operator says does.
func (r *Rules) version() *overrides {
	if r == nil {
		return nil
	}
	return r.said.Load()
}

// Of says what holds for a method. What its contract says wrongly is an error, and is not taken.
func (r *Rules) Of(md protoreflect.MethodDescriptor) (Settings, error) {
	return settingsOf(r.version(), md, defaultBreaker())
}

func defaultBreaker() Breaker {
	return Breaker{FailurePercent: 50, MinCalls: 20, Window: Duration(defaultWindow), OpenFor: Duration(defaultOpenFor)}
}

func settingsOf(said *overrides, md protoreflect.MethodDescriptor, b Breaker) (Settings, error) {
	s := bare(methodName(md), b)
	s.safe = safe(md)
	var errs []error
	for _, place := range []struct {
		options   protoreflect.ProtoMessage
		extension protoreflect.FullName
		from      Origin
	}{{md.Parent().Options(), serviceExtension, ContractService}, {md.Options(), methodExtension, ContractMethod}} {
		d, ok, err := ofContract(place.options, place.extension)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s of %s: %w", place.from, s.Method, err))
		}
		if ok {
			s.take(d, place.from)
		}
	}
	if said != nil {
		for _, key := range []string{string(md.Parent().FullName()) + "/*", s.Method} {
			if d, ok := said.by[key]; ok {
				s.take(d, Origin("operator: "+key))
			}
		}
	}
	if !s.safe && s.HedgeAfter.Value != 0 {
		if s.HedgeAfter.From == ContractMethod {
			errs = append(errs, fmt.Errorf("%s: hedge_after is for methods with NO_SIDE_EFFECTS only", s.Method))
		}
		s.HedgeAfter = Value[Duration]{From: Default} // what is said of a service is for those of its methods that it fits
	}
	return s, errors.Join(errs...)
}

// bare are the defaults.
func bare(name string, b Breaker) Settings {
	return Settings{
		Method: name, Timeout: Value[Duration]{From: Default}, HedgeAfter: Value[Duration]{From: Default}, Bulkhead: Value[int]{From: Default},
		Priority: Value[Level]{From: Default}, Breaker: Value[Breaker]{b, Default},
	}
}
