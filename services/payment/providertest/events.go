package providertest

import (
	"bytes"
	"maps"
	"strings"
	"time"

	"github.com/cleavehq/cleave/services/payment/provider"
)

func readsEvents(s suite) {
	key := s.key()
	s.hold(key)
	header, body := s.c.Event(s.T, "evt_1", key, time.Now())
	for range 2 {
		e, err := s.p.ParseWebhook(header, body)
		s.must(err)
		if e.ID != "evt_1" || e.Key != key || e.Kind == "" {
			s.Fatalf("read %+v", e)
		}
	}
}

func refusesForged(s suite) {
	header, body := s.c.Event(s.T, "evt_1", s.key(), time.Now())
	for i := 0; i < len(body); i += 1 + len(body)/50 {
		forged := bytes.Clone(body)
		forged[i] ^= 1
		s.wantForged(header, forged)
	}
	s.wantForged(nil, body)
	s.wantForged(header, append(bytes.Clone(body), ' '))
	for name, value := range header {
		for _, forged := range []string{"", "nonsense", strings.ToUpper(value), value[:len(value)-2], "t=" + value, swap(value)} {
			other := maps.Clone(header)
			other[name] = forged
			s.wantForged(other, body)
		}
	}
}

// swap changes the last hex digit of a signature.
func swap(value string) string {
	last := "0"
	if strings.HasSuffix(value, last) {
		last = "1"
	}
	return value[:len(value)-1] + last
}

func (s suite) wantForged(header map[string]string, body []byte) {
	s.Helper()
	e, err := s.p.ParseWebhook(header, body)
	s.wantIs(err, provider.ErrSignature)
	if e != (provider.Event{}) {
		s.Fatalf("a forged event was read as %+v", e)
	}
}

func refusesOldEvents(s suite) {
	for _, off := range []time.Duration{-provider.WebhookTolerance - 5*time.Second, provider.WebhookTolerance + 5*time.Second} {
		header, body := s.c.Event(s.T, "evt_1", s.key(), time.Now().Add(off))
		s.wantForged(header, body)
	}
	header, body := s.c.Event(s.T, "evt_1", s.key(), time.Now().Add(-provider.WebhookTolerance/2))
	if _, err := s.p.ParseWebhook(header, body); err != nil {
		s.Fatalf("an event of half the tolerance: %v", err)
	}
}

func refusesHugeEvents(s suite) {
	header, body := s.c.Event(s.T, "evt_"+strings.Repeat("x", provider.MaxWebhook), s.key(), time.Now())
	s.wantForged(header, body)
}
