package cli

import "testing"

func TestAccessShare(t *testing.T) {
	for text, want := range map[string]struct {
		share float64
		on    bool
		bad   bool
	}{
		"off": {}, "0": {0, true, false}, "0.01": {0.01, true, false}, "1": {1, true, false},
		"": {bad: true}, "on": {bad: true}, "-1": {bad: true}, "1.5": {bad: true}, "NaN": {bad: true},
	} {
		share, on, err := accessShare(text)
		if share != want.share || on != want.on || (err != nil) != want.bad {
			t.Errorf("%q: %g %v %v", text, share, on, err)
		}
	}
}
