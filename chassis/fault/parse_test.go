package fault

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for spec, want := range map[string]string{
		"order.reserve.after=kill":                      "order.reserve.after=kill",
		"b = error*2 ; a=kill@3;; c.d_1=sleep(1500ms);": "a=kill@3;b=error*2;c.d_1=sleep(1.5s)",
		"a=sleep(1h)@2*9":                               "a=sleep(1h0m0s)@2*9",
		"a=error*1":                                     "a=error@1",
	} {
		p, err := Parse(spec)
		if err != nil || p.String() != want {
			t.Errorf("%q: %q, %v, want %q", spec, p, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for spec, want := range map[string]string{
		"a":                                "NAME=ACTION",
		"a=":                               "no action",
		"=kill":                            "no name",
		"A=kill":                           "no name",
		"a..b=kill":                        "no name",
		"a-b=kill":                         "no name",
		strings.Repeat("a", 101) + "=kill": "no name",
		"a=panic":                          "none of kill, error, sleep(5s)",
		"a=kill(1)":                        "takes no argument",
		"a=error()":                        "takes no argument",
		"a=sleep":                          "sleep wants a time",
		"a=sleep()":                        "sleep wants a time",
		"a=sleep(5)":                       "sleep wants a time",
		"a=sleep(-5s)":                     "sleep wants a time",
		"a=sleep(61m)":                     "sleep wants a time",
		"a=kill@0":                         "no count",
		"a=kill*0":                         "no count",
		"a=kill*99999999999999999999":      "no count",
		"a=kill*2@3":                       "no action",
		"a=kill@":                          "no action",
		"a=kill,b=kill":                    "no action",
		"a=kill;a=error":                   "armed twice",
		strings.Repeat(";", maxSpec+1):     "at most",
	} {
		if p, err := Parse(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, %v, want %q", spec, p, err, want)
		}
	}
}

// Whatever the text, Parse ends, and what it takes reads back as the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "a=kill", "a.b=error*2;c=sleep(5s)@3*4", "a=sleep(", "a=kill@18446744073709551616", ";;=", "a = error @1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		p, err := Parse(spec)
		if err != nil {
			if p != nil {
				t.Errorf("%q: points and %v", spec, err)
			}
			return
		}
		again, err := Parse(p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%q is %q, which is %q, %v", spec, p, again, err)
		}
	})
}
