package resilience

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Limits of what a contract or an operator may say.
const (
	minTimeout  = time.Millisecond
	maxTimeout  = 10 * time.Minute
	maxHedge    = time.Minute
	maxBulkhead = 100_000
	minWindow   = 100 * time.Millisecond
	minOpen     = 10 * time.Millisecond
	maxDocument = 4 << 10 // bytes of one override
)

// Origin is who decided a value. What an operator decided names the key besides: "operator: shop.order.v1.Order/*".
type Origin string

// The origins.
const (
	Default         Origin = "default"
	ContractService Origin = "contract: service"
	ContractMethod  Origin = "contract: method"
)

// Value is what was decided, and by whom.
type Value[T any] struct {
	Value T      `json:"value"`
	From  Origin `json:"from"`
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

// Breaker says when a method's circuit opens.
type Breaker struct {
	Off            bool     `json:"off"`
	FailurePercent int      `json:"failure_percent"`
	MinCalls       int      `json:"min_calls"`
	Window         Duration `json:"window"`
	OpenFor        Duration `json:"open_for"`
}

// Settings of one method, complete.
type Settings struct {
	// Method is its full name, "shop.order.v1.Order/CancelOrder"; of a method without a contract that of its registry, "order/Order.CancelOrder".
	Method string `json:"method"`
	// Timeout of a call, retries included; 0 for the caller's own.
	Timeout Value[Duration] `json:"timeout"`
	// HedgeAfter is when a second instance is asked; 0 for never.
	HedgeAfter Value[Duration] `json:"hedge_after"`
	// Bulkhead is how many calls of the method one process may have under way; 0 for as many as of its service.
	Bulkhead Value[int]     `json:"bulkhead"`
	Priority Value[Level]   `json:"priority"`
	Breaker  Value[Breaker] `json:"breaker"`
	safe     bool           // NO_SIDE_EFFECTS
}

// document is what one place says; a nil field says nothing.
type document struct {
	Timeout    *Duration `json:"timeout"`
	HedgeAfter *Duration `json:"hedge_after"`
	Bulkhead   *int      `json:"bulkhead"`
	Priority   *Level    `json:"priority"`
	Breaker    *struct {
		Off            *bool     `json:"off"`
		FailurePercent *int      `json:"failure_percent"`
		MinCalls       *int      `json:"min_calls"`
		Window         *Duration `json:"window"`
		OpenFor        *Duration `json:"open_for"`
	} `json:"breaker"`
}

// methodName is the name of a method in overrides and in gRPC's paths.
func methodName(md protoreflect.MethodDescriptor) string {
	return string(md.Parent().FullName()) + "/" + string(md.Name())
}

var validKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*/([A-Za-z_][A-Za-z0-9_]*|\*)$`)

// CheckOverride says what is wrong with an operator's document, or nil. key is "shop.order.v1.Order/CancelOrder", or "shop.order.v1.Order/*"
// for the whole service. The document is a JSON object with the fields timeout, hedge_after ("50ms"), bulkhead (64), priority ("critical",
// "normal", "sheddable") and breaker ({"off": true} or any of failure_percent, min_calls, window, open_for).
func CheckOverride(key string, b []byte) error {
	_, err := parseOverride(key, b)
	return err
}

func parseOverride(key string, b []byte) (document, error) {
	if !validKey.MatchString(key) {
		return document{}, errors.New("the key is not package.Service/Method or package.Service/*")
	}
	if len(b) > maxDocument {
		return document{}, fmt.Errorf("it has %d bytes, more than %d", len(b), maxDocument)
	}
	return parseDocument(b)
}

func parseDocument(b []byte) (d document, err error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return d, fmt.Errorf("it is not what it should be: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return d, errors.New("something follows the JSON object")
	}
	if strings.TrimSpace(string(b)) == "null" {
		return d, errors.New("it is null")
	}
	return d, d.validate()
}

func (d document) validate() error {
	var errs []error
	span := func(name string, v *Duration, least, most time.Duration) {
		if v != nil && (time.Duration(*v) < least || time.Duration(*v) > most) {
			errs = append(errs, fmt.Errorf("%s is %v, and must be from %v to %v", name, time.Duration(*v), least, most))
		}
	}
	number := func(name string, v *int, least, most int) {
		if v != nil && (*v < least || *v > most) {
			errs = append(errs, fmt.Errorf("%s is %d, and must be from %d to %d", name, *v, least, most))
		}
	}
	span("timeout", d.Timeout, minTimeout, maxTimeout)
	span("hedge_after", d.HedgeAfter, minTimeout, maxHedge)
	number("bulkhead", d.Bulkhead, 1, maxBulkhead)
	if b := d.Breaker; b != nil {
		number("breaker.failure_percent", b.FailurePercent, 1, 100)
		number("breaker.min_calls", b.MinCalls, 1, maxBulkhead)
		span("breaker.window", b.Window, minWindow, maxTimeout)
		span("breaker.open_for", b.OpenFor, minOpen, maxTimeout)
	}
	return errors.Join(errs...)
}

// take puts what a document says over what was said before.
func (s *Settings) take(d document, from Origin) {
	put(&s.Timeout, d.Timeout, from)
	put(&s.HedgeAfter, d.HedgeAfter, from)
	put(&s.Bulkhead, d.Bulkhead, from)
	put(&s.Priority, d.Priority, from)
	if b := d.Breaker; b != nil {
		now := &s.Breaker.Value
		s.Breaker.From = from
		set(&now.Off, b.Off)
		set(&now.FailurePercent, b.FailurePercent)
		set(&now.MinCalls, b.MinCalls)
		set(&now.Window, b.Window)
		set(&now.OpenFor, b.OpenFor)
	}
}

func put[T any](to *Value[T], v *T, from Origin) {
	if v != nil {
		*to = Value[T]{*v, from}
	}
}

func set[T any](to, v *T) {
	if v != nil {
		*to = *v
	}
}

// The extensions of proto/cleave/v1/resilience.proto. They are found by name, so that this package needs no contract: a program whose
// contracts use them has linked them.
const (
	methodExtension  = "cleave.v1.resilience"
	serviceExtension = "cleave.v1.service_resilience"
)

// ofContract reads what the options of a method or a service say.
func ofContract(options protoreflect.ProtoMessage, extension protoreflect.FullName) (d document, said bool, err error) {
	xt, err := protoregistry.GlobalTypes.FindExtensionByName(extension)
	if err != nil || options == nil {
		return d, false, nil //nolint:nilerr // nobody linked it, so nobody says anything
	}
	m := options.ProtoReflect()
	if !m.IsValid() || !m.Has(xt.TypeDescriptor()) {
		return d, false, nil
	}
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m.Get(xt.TypeDescriptor()).Message().Interface())
	if err == nil {
		d, err = parseDocument(b)
	}
	return d, err == nil, err
}

// safe says that a method has no side effects, as its contract says.
func safe(md protoreflect.MethodDescriptor) bool {
	o, ok := md.Options().(*descriptorpb.MethodOptions)
	return ok && o.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}
