// Package topology says where the calls of each module go: to which host, to which version, and which part of them. It is data, kept in
// Consul's key/value store or in a file, watched by every process, and changed while they run.
//
// A [Rule] is about one module. Without one, a module runs wherever it is started and all of its instances are alike. With one, its
// calls are split by weight between [Share]s, each of which names a host, a version, or both: an extraction and a canary are the
// same thing. A rule that names hosts also says where the module runs: a host that could run it, and that no share names, stops it.
//
// Each change of a rule has an author, a reason and a time, and gets the next version. A [Store] keeps the last [HistoryLimit] of them, and
// refuses a change that was made from another version than the current one: [ErrConflict].
//
// [Table] follows a store and answers from memory. It keeps the last good rules when the store is away, and when a rule is wrong.
package topology

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Limits of a rule.
const (
	MaxShares    = 32
	MaxWeight    = 10_000
	MaxText      = 500 // bytes of an author, a reason
	HistoryLimit = 50  // versions that a store keeps of a rule
)

// Rule says where the calls of one module go.
type Rule struct {
	// Module is its name in the registry.
	Module string `json:"module"`
	// Shares split the calls by weight; their order matters for sticky calls. None: the module is under no rule.
	Shares []Share `json:"shares"`
	// Sticky is a metadata key, such as "X-Session": calls with one value of it go to one share for as long as its part of the
	// calls does not shrink. Empty: every call is on its own.
	Sticky string `json:"sticky,omitempty"`

	// Version is 1 for a module's first rule, and one more with each change. The store sets it.
	Version int64 `json:"version"`
	// Author, Reason and Time are of the change that made this version.
	Author string    `json:"author"`
	Reason string    `json:"reason"`
	Time   time.Time `json:"time"`
}

// Share is a part of a module's instances, and of its calls.
type Share struct {
	// Host is the name of a host, as its instances have it in the registry; empty for any.
	Host string `json:"host,omitempty"`
	// ModuleVersion is the version that the instances have in the registry; empty for any.
	ModuleVersion string `json:"module_version,omitempty"`
	// Weight is this share's part of the sum of all weights, 0 to MaxWeight. With 0 it runs and gets no calls, unless no other share
	// has an instance.
	Weight int `json:"weight"`
}

// Errors of a Store and of Validate, found with errors.Is.
var (
	// ErrConflict says that the rule was changed by someone else in between: read it again.
	ErrConflict = errors.New("the rule has another version by now")
	// ErrInvalid says that a rule is wrong, and how.
	ErrInvalid = errors.New("the rule is wrong")
)

// Store keeps the rules and their history.
type Store interface {
	// Rules returns the current rule of every module that has one.
	Rules(ctx context.Context) (map[string]Rule, error)
	// History returns the versions of a module's rule, the newest first; none when it never had one.
	History(ctx context.Context, module string) ([]Rule, error)
	// Put makes r the current rule, when r.Version is that of the current one (0 when there is none), and returns it with its new
	// version. ErrConflict when it isn't; ErrInvalid. A rule that the store had and lost, with its data, is no conflict.
	Put(ctx context.Context, r Rule) (Rule, error)
	// Watch calls fn with the current rules, at once and after every change, until ctx ends, which is its only error. It survives
	// outages. A rule that can't be read is left out, and the error says which; fn then keeps what it knows of it.
	Watch(ctx context.Context, fn func(rules map[string]Rule, wrong error)) error
}

// conflicts says whether a change from one version meets another. Rules are never deleted: one that was there and isn't was lost.
func conflicts(from, now int64) bool { return from != now && now != 0 }

// Names end up in Consul's keys and in the registry.
var (
	moduleName = regexp.MustCompile(`^[a-z][a-z0-9_.-]{0,62}$`)
	hostName   = regexp.MustCompile(`^[a-z0-9][a-z0-9_.+-]{0,62}$`)
	headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)
)

// ValidHost says whether a host may have this name: letters in lower case, digits and _.+-, at most 63.
func ValidHost(name string) bool { return hostName.MatchString(name) }

// Validate returns ErrInvalid with the first thing that is wrong with r, or nil.
func (r Rule) Validate() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: module %q: "+format, append([]any{ErrInvalid, r.Module}, args...)...)
	}
	switch {
	case !moduleName.MatchString(r.Module):
		return wrong("that is no module's name")
	case len(r.Shares) > MaxShares:
		return wrong("%d shares, at most %d", len(r.Shares), MaxShares)
	case r.Sticky != "" && !headerName.MatchString(r.Sticky):
		return wrong("sticky %q is no metadata key", r.Sticky)
	case r.Author == "" || len(r.Author) > MaxText || r.Reason == "" || len(r.Reason) > MaxText:
		return wrong("a change needs an author and a reason of at most %d bytes", MaxText)
	}
	sum := 0
	seen := map[[2]string]bool{}
	for _, s := range r.Shares {
		id := [2]string{s.Host, s.ModuleVersion}
		switch {
		case s.Host == "" && s.ModuleVersion == "":
			return wrong("a share names neither a host nor a version")
		case s.Host != "" && !ValidHost(s.Host):
			return wrong("%q is no host's name", s.Host)
		case len(s.ModuleVersion) > MaxText:
			return wrong("a version of %d bytes", len(s.ModuleVersion))
		case s.Weight < 0 || s.Weight > MaxWeight:
			return wrong("weight %d of %s, from 0 to %d", s.Weight, s, MaxWeight)
		case seen[id]:
			return wrong("%s is there twice", s)
		case (s.Host == "") != (r.Shares[0].Host == ""):
			return wrong("either every share names a host, or none does")
		}
		seen[id] = true
		sum += s.Weight
	}
	if len(r.Shares) > 0 && sum == 0 {
		return wrong("no share has a weight")
	}
	return nil
}

// String is how a person names a share.
func (s Share) String() string {
	if s.ModuleVersion == "" {
		return s.Host
	}
	return cmp.Or(s.Host, "any host") + " at version " + s.ModuleVersion
}

// Places says whether a host that can run the module is to run it.
func (r Rule) Places(host string) bool {
	if len(r.Shares) == 0 || r.Shares[0].Host == "" {
		return true
	}
	for _, s := range r.Shares {
		if s.Host == host {
			return true
		}
	}
	return false
}
