package mesh

// Any is the name in an intention that stands for every service.
const Any = "*"

// Intention says whether one service may call another; either may be Any.
type Intention struct {
	Source, Destination string
	Allow               bool
}

// Intentions is what is said of all calls, made by NewIntentions. It isn't changed. The zero value allows nothing.
type Intentions struct {
	said      map[pair]bool
	otherwise bool
}

type pair struct{ source, destination string }

// NewIntentions are those of list; otherwise is the answer when none is about a call. Of two that are about the same pair the denial holds.
func NewIntentions(list []Intention, otherwise bool) Intentions {
	in := Intentions{said: make(map[pair]bool, len(list)), otherwise: otherwise}
	for _, i := range list {
		p := pair{i.Source, i.Destination}
		if before, ok := in.said[p]; ok && !before {
			continue
		}
		in.said[p] = i.Allow
	}
	return in
}

// Allows says whether source may call destination. The most precise intention decides, in Consul's order: both names, the destination's, the
// source's, none (https://developer.hashicorp.com/consul/docs/connect/intentions: precedence and match order).
func (in Intentions) Allows(source, destination string) bool {
	for _, p := range [...]pair{{source, destination}, {Any, destination}, {source, Any}, {Any, Any}} {
		if allow, ok := in.said[p]; ok {
			return allow
		}
	}
	return in.otherwise
}
