package resilience

import (
	"context"
	"fmt"
	"strings"

	"go-micro.dev/v4/metadata"
)

// Level is how important a call is; under overload the lower ones are refused first. It goes along with a call, and with those that its
// handler makes, as metadata under [PriorityHeader].
type Level int

// The levels.
const (
	Normal    Level = iota
	Sheddable       // refused first
	Critical        // refused last: money, and what finishes work that was begun
)

// PriorityHeader is the metadata key of a call's level. A gateway must not take it from its clients.
const PriorityHeader = "Cleave-Priority"

// String is "normal", "sheddable" or "critical".
func (l Level) String() string {
	switch l {
	case Sheddable:
		return "sheddable"
	case Critical:
		return "critical"
	case Normal:
	}
	return "normal"
}

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It takes the names of proto/cleave/v1's enum, too.
func (l *Level) UnmarshalText(b []byte) error {
	switch strings.TrimPrefix(strings.ToLower(string(b)), "priority_") {
	case "normal", "unspecified":
		*l = Normal
	case "sheddable":
		*l = Sheddable
	case "critical":
		*l = Critical
	default:
		return fmt.Errorf("%.20q is none of critical, normal, sheddable", b)
	}
	return nil
}

// rank orders levels: the higher is let in first.
func (l Level) rank() int {
	switch l {
	case Sheddable:
		return 0
	case Critical:
		return 2
	case Normal:
	}
	return 1
}

// WithLevel returns ctx with metadata that give the calls made with it a level.
func WithLevel(ctx context.Context, l Level) context.Context {
	return metadata.MergeContext(ctx, metadata.Metadata{PriorityHeader: l.String()}, true)
}

// level is the one that a call says it has, or else its method's.
func level(said string, of Level) Level {
	if said == "" {
		return of
	}
	l := of
	if l.UnmarshalText([]byte(said)) != nil {
		return of
	}
	return l
}
