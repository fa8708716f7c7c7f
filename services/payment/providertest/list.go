package providertest

import (
	"time"

	"github.com/cleavehq/cleave/services/payment/provider"
)

// charges reads all pages of the last hours.
func (s suite) charges(limit int) map[string]provider.Charge {
	s.Helper()
	out := map[string]provider.Charge{}
	w := provider.Window{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour), Limit: limit}
	for pages := 0; ; pages++ {
		if pages > 1000 {
			s.Fatal("the list has no end")
		}
		page, err := s.p.List(s.ctx, w)
		s.must(err)
		if len(page.List) > limit {
			s.Fatalf("a page of %d has %d charges", limit, len(page.List))
		}
		for _, c := range page.List {
			out[c.Key] = c
		}
		if w.After = page.Next; w.After == "" {
			return out
		}
	}
}

func listsCharges(s suite) {
	held, taken, letGo, refused := s.key(), s.key(), s.key(), s.key()
	refs := map[string]string{held: s.hold(held), taken: s.taken(taken), letGo: s.hold(letGo)}
	s.must(s.p.Void(s.ctx, refs[letGo], letGo+":void"))
	_, err := s.authorize(refused, s.c.Declined)
	s.wantDecline(err)
	for _, limit := range []int{1, 2, 100} {
		got := s.charges(limit)
		for key, ref := range refs {
			c := got[key]
			if c.Ref != ref || c.Order != s.order(key) || c.Amount != s.amount() || time.Since(c.Made).Abs() > time.Hour {
				s.Errorf("pages of %d have %+v for the key %s", limit, c, key)
			}
		}
		if c, there := got[refused]; there {
			s.Errorf("what was declined is listed: %+v", c)
		}
	}
	past := provider.Window{From: time.Now().Add(-2 * time.Hour), To: time.Now().Add(-time.Hour), Limit: 100}
	page, err := s.p.List(s.ctx, past)
	s.must(err)
	for _, c := range page.List {
		if refs[c.Key] != "" {
			s.Errorf("%+v was not made before %v", c, past.To)
		}
	}
}
