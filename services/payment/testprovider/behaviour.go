package testprovider

import (
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// call is a method of the provider.
type call string

const (
	authorize call = "authorize"
	capture   call = "capture"
	void      call = "void"
	refund    call = "refund"
	list      call = "list"
)

// fault is how a call fails.
type fault int

const (
	none        fault = iota
	unavailable       // ErrUnavailable, and nothing is done
	timeout           // done, and the answer is lost
	hang              // done, and the call ends with its context
	slow              // done, and answered after n ms
)

// behaviour is what a token stands for. It is stored as its word, which is the token only where that is one of those of this package.
type behaviour struct {
	word    string
	decline string // the code, when it is declined
	call    call
	fault   fault
	n       int
	// refuses: each refund is declined.
	refuses bool
	// deliveries of each event, the delay of each in ms, and whether the last comes first.
	deliveries, delay int
	disorder          bool
}

const always = 1 << 30

// behave finds the behaviour of a word: of a token without its "tok_".
func behave(word string) behaviour {
	b := behaviour{word: word, deliveries: 1}
	name, n := word, 1
	if i := strings.LastIndexByte(word, '_'); i > 0 {
		if v, err := strconv.ParseInt(word[i+1:], 10, 31); err == nil {
			name, n = word[:i], int(v)
		}
	}
	fails := func(c call, f fault) behaviour {
		b.call, b.fault, b.n = c, f, n
		return b
	}
	switch name {
	case "visa", "mastercard":
	case "declined":
		b.decline = "card_declined"
	case "insufficient_funds", "expired_card":
		b.decline = name
	case "timeout_after_charge":
		return fails(authorize, timeout)
	case "hang_after_charge":
		return fails(authorize, hang)
	case "slow":
		return fails(authorize, slow)
	case "unavailable":
		if name == word {
			n = always
		}
		return fails(authorize, unavailable)
	case "capture_timeout", "void_timeout", "refund_timeout":
		return fails(call(strings.TrimSuffix(name, "_timeout")), timeout)
	case "capture_unavailable", "void_unavailable", "refund_unavailable":
		return fails(call(strings.TrimSuffix(name, "_unavailable")), unavailable)
	case "refund_declined":
		b.refuses = true
	case "webhook_twice":
		b.deliveries = 2
	case "webhook_late":
		b.delay = n
	case "webhook_disorder":
		b.disorder = true
	case "webhook_never":
		b.deliveries = 0
	default:
		b.word, b.decline = "invalid", "invalid_token"
	}
	return b
}

// ofToken is the behaviour of a token for a key.
func (p *Provider) ofToken(token provider.Token, key string) behaviour {
	word, ok := strings.CutPrefix(string(token), "tok_")
	if !ok {
		word = ""
	}
	if p.c.Hostile && (word == "visa" || word == "mastercard") {
		h := fnv.New64a()
		_, _ = h.Write([]byte(strconv.FormatUint(p.c.Seed, 10) + "/" + key)) // it never fails
		words := hostilities()
		word = words[h.Sum64()%uint64(len(words))]
	}
	return behave(word)
}

// hostilities are what a hostile provider does with a good card, each as often as it is here.
func hostilities() []string {
	return []string{
		"visa", "visa", "visa", "visa", "visa", "visa", "declined", "insufficient_funds", "timeout_after_charge", "timeout_after_charge_2",
		"hang_after_charge", "slow_500", "unavailable_1", "unavailable_2", "capture_timeout", "capture_timeout_2", "capture_unavailable",
		"void_timeout", "void_unavailable", "refund_timeout", "refund_timeout_2", "refund_unavailable", "webhook_twice", "webhook_late_500",
		"webhook_disorder", "webhook_never",
	}
}
