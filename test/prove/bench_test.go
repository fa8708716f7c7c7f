package main

import (
	"bytes"
	"testing"
)

// What a bench has to measure is named once, and each set that has benches has bounds for them.
func TestBenchesHaveBounds(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sets() {
		if len(s.benches) > 0 != (len(s.speed) > 0) {
			t.Errorf("%d benches and %d bounds", len(s.benches), len(s.speed))
		}
		for _, b := range append(s.bounds, s.speed...) {
			if seen[b.name] || b.least > b.most {
				t.Errorf("%+v: twice, or between nothing", b)
			}
			seen[b.name] = true
		}
	}
}

func TestBenchThatFails(t *testing.T) {
	var figures, talk bytes.Buffer
	if err := newReport(&figures, &talk).bench(t.Context(), []string{"./none"}); err == nil {
		t.Error("no error")
	}
}
