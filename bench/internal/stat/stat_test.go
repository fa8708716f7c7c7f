package stat

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProcessorTimeOfStat(t *testing.T) {
	const line = "4242 (a) b (c) S 1 4242 4242 0 -1 4194560 9000 0 12 0 150 50 7 9 20 0 14 0 1000 1 2 3"
	if got, err := parseStat([]byte(line)); err != nil || got != 2*time.Second {
		t.Errorf("%v, %v: want 2 s", got, err)
	}
	for _, bad := range []string{"", "4242 (x) S 1 2 3", strings.Replace(line, " 150 ", " many ", 1)} {
		if got, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

func TestMedianAndQuantile(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{3, 1}, 2}, {[]float64{9, 1, 2}, 2}} {
		if got := Median(c.v); got != c.want {
			t.Errorf("median of %v is %g, want %g", c.v, got, c.want)
		}
	}
	d := []time.Duration{1, 2, 3, 4}
	if Quantile(d, 0.5) != 3 || Quantile(d, 0.99) != 4 || Quantile(d, 1) != 4 || Quantile(nil, 0.5) != 0 {
		t.Error("quantiles")
	}
}

func TestFiguresAreLines(t *testing.T) {
	var b bytes.Buffer
	if err := Print(&b, []Figure{{"a_ratio", 0.25, "ratio"}, {"n", 1234567, "ns"}}); err != nil || b.String() != "figure a_ratio 0.25 ratio\nfigure n 1.23457e+06 ns\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}
