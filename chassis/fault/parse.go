package fault

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Limits of what Parse takes.
const (
	maxSpec  = 8 << 10
	maxName  = 100
	maxCount = 1_000_000_000
)

var (
	validName   = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)
	validAction = regexp.MustCompile(`^([a-z]+)(?:\(([^()]*)\))?(?:@([0-9]+))?(?:\*([0-9]+))?$`)
)

// Parse reads what an operator armed; the package comment has the form. Spaces around names, actions and semicolons are ignored. It
// returns nil Points for an empty text, and an error that says what is wrong for one that it doesn't understand, for a name that is
// armed twice and for a text of more than 8 KiB. Whether a place of that name exists it doesn't know.
func Parse(spec string) (*Points, error) {
	if len(spec) > maxSpec {
		return nil, fmt.Errorf("failpoints: %d bytes, and at most %d are taken", len(spec), maxSpec)
	}
	p := &Points{armed: map[string]*point{}}
	for part := range strings.SplitSeq(spec, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, what, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if !ok {
			return nil, fmt.Errorf("failpoints: %q is not of the form NAME=ACTION", part)
		}
		if !validName.MatchString(name) || len(name) > maxName {
			return nil, fmt.Errorf("failpoints: %q is no name: lower-case letters, digits and _ between dots, at most %d", name, maxName)
		}
		if p.armed[name] != nil {
			return nil, fmt.Errorf("failpoints: %s is armed twice", name)
		}
		at, err := parsePoint(strings.TrimSpace(what))
		if err != nil {
			return nil, fmt.Errorf("failpoints: %s: %w", name, err)
		}
		p.armed[name] = at
	}
	if len(p.armed) == 0 {
		return nil, nil //nolint:nilnil // nil Points have nothing armed
	}
	p.spec = p.canonical()
	return p, nil
}

func parsePoint(what string) (*point, error) {
	m := validAction.FindStringSubmatch(what)
	if m == nil {
		return nil, fmt.Errorf("%q is no action: kill, error or sleep(5s), then @3 for the third hit or *2 for two hits", what)
	}
	at := &point{action: action(m[1]), from: 1}
	argument := strings.Contains(what, "(")
	switch at.action {
	case kill, fail:
		if argument {
			return nil, fmt.Errorf("%s takes no argument", at.action)
		}
	case sleep:
		d, err := time.ParseDuration(m[2])
		if err != nil || d <= 0 || d > longSleep {
			return nil, fmt.Errorf("%q: sleep wants a time between 1ns and 1h, such as sleep(5s)", what)
		}
		at.wait = d
	default:
		return nil, fmt.Errorf("%q is none of kill, error, sleep(5s)", m[1])
	}
	var err error
	if m[3] != "" {
		at.times = 1
		if at.from, err = count(m[3]); err != nil {
			return nil, err
		}
	}
	if m[4] != "" {
		if at.times, err = count(m[4]); err != nil {
			return nil, err
		}
	}
	return at, nil
}

func count(digits string) (uint64, error) {
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n < 1 || n > maxCount {
		return 0, fmt.Errorf("%s is no count between 1 and %d", digits, maxCount)
	}
	return n, nil
}

// String returns the action in the form that parsePoint reads.
func (at *point) String() string {
	s := string(at.action)
	if at.action == sleep {
		s += "(" + at.wait.String() + ")"
	}
	if at.from > 1 || at.times == 1 {
		s += "@" + strconv.FormatUint(at.from, 10)
	}
	if at.times > 1 {
		s += "*" + strconv.FormatUint(at.times, 10)
	}
	return s
}
