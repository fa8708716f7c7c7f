package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// Kind is what an injected fault does.
type Kind string

const (
	// Latency lets a call wait before its handler, for Rule.Delay; the wait ends early with the call.
	Latency Kind = "latency"
	// Fail answers a call with an error, Rule.Code, instead of the handler.
	Fail Kind = "error"
	// Abort cuts the connection by which a call came: its caller doesn't learn what became of it. In a direct call there is none to cut, and the
	// call fails as with Fail.
	Abort Kind = "abort"
	// Partition keeps the calls of Rule.Caller from being sent: the module can't be reached from there.
	Partition Kind = "partition"
)

// Limits of rules.
const (
	MaxLife  = time.Hour
	MaxDelay = time.Minute
	MaxRules = 100
	maxText  = 200
)

// Duration is a time.Duration that is "250ms" in JSON.
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Rule is one fault that an operator asked for.
type Rule struct {
	ID string `json:"id"`
	// Module whose calls are hit.
	Module string `json:"module"`
	// Method is "Catalog.GetProduct"; empty for every one.
	Method string `json:"method,omitempty"`
	Kind   Kind   `json:"kind"`
	// Share of the calls that is hit, in percent, more than 0 and at most 100.
	Share float64 `json:"share"`
	// Delay of Latency, at most MaxDelay.
	Delay Duration `json:"delay,omitzero"`
	// Code of Fail; default UNAVAILABLE.
	Code codes.Code `json:"code,omitempty"`
	// Caller of Partition: a module, or "gateway"; empty for every one.
	Caller string `json:"caller,omitempty"`
	// Created and Expires, at most MaxLife later.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Author  string    `json:"author"`
	Reason  string    `json:"reason,omitempty"`
}

var (
	validModule = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	validMethod = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*\.[A-Za-z][A-Za-z0-9_]*$`)
	validID     = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
)

// Check says all that is wrong with a rule.
func (r Rule) Check() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(!validID.MatchString(r.ID), "the id is %q", r.ID)
	wrong(!validModule.MatchString(r.Module), "the module is %q; want one's name", r.Module)
	wrong(r.Method != "" && (!validMethod.MatchString(r.Method) || len(r.Method) > maxText), "the method is %q; want one such as Catalog.GetProduct", r.Method)
	wrong(!slices.Contains([]Kind{Latency, Fail, Abort, Partition}, r.Kind), "%q is none of latency, error, abort, partition", r.Kind)
	wrong(!(r.Share > 0 && r.Share <= 100), "the share is %v; want more than 0 and at most 100 percent", r.Share)
	wrong(r.Kind == Latency && (r.Delay <= 0 || time.Duration(r.Delay) > MaxDelay), "the delay is %v; want more than 0 and at most %v", time.Duration(r.Delay), MaxDelay)
	wrong(r.Kind != Latency && r.Delay != 0, "only latency has a delay")
	wrong(r.Code != codes.OK && (r.Kind != Fail || r.Code > codes.Unauthenticated), "only an error has a code, and it is one of gRPC's")
	wrong(r.Caller != "" && (r.Kind != Partition || !validModule.MatchString(r.Caller)), "only a partition has a caller, and it is a module's name or gateway")
	wrong(r.Expires.IsZero() || r.Created.IsZero(), "a fault has to say when it ends")
	wrong(r.Expires.Sub(r.Created) > MaxLife || !r.Expires.After(r.Created), "it ends %v after its beginning; want more than 0 and at most %v", r.Expires.Sub(r.Created), MaxLife)
	wrong(r.Author == "" || len(r.Author) > maxText || len(r.Reason) > maxText, "want an author, and at most %d bytes of him and of a reason", maxText)
	return errors.Join(errs...)
}

// String says it in words.
func (r Rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v%% of ", r.Share)
	if r.Method != "" {
		b.WriteString(r.Method)
	} else {
		b.WriteString(r.Module)
	}
	if r.Kind == Partition {
		caller := r.Caller
		if caller == "" {
			caller = "everyone"
		}
		b.WriteString(" can't be reached by " + caller)
		return b.String()
	}
	b.WriteString(": " + string(r.Kind))
	if r.Kind == Latency {
		b.WriteString(" of " + time.Duration(r.Delay).String())
	}
	if r.Kind == Fail {
		b.WriteString(" " + r.code().String())
	}
	return b.String()
}

func (r Rule) code() codes.Code {
	if r.Code == codes.OK {
		return codes.Unavailable
	}
	return r.Code
}

// Decode reads a rule that is called name in its store.
func Decode(name string, document []byte) (Rule, error) {
	var r Rule
	if err := json.Unmarshal(document, &r); err != nil {
		return r, fmt.Errorf("the fault %s: %w", name, err)
	}
	if r.ID != name {
		return r, fmt.Errorf("the fault %s says that it is %q", name, r.ID)
	}
	if err := r.Check(); err != nil {
		return r, fmt.Errorf("the fault %s: %w", name, err)
	}
	return r, nil
}
