package page_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/chassis/problem"
)

func TestTokensComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Map(rapid.StringN(0, 255, -1), func(s string) string { return strings.ReplaceAll(s, "\x00", "0") })
		keys := rapid.SliceOfN(text, 1, 2).Draw(t, "keys")
		filter := text.Draw(t, "filter")
		list := page.Of("things", filter)
		token := list.Token(keys...)
		got, err := list.Parse(token, len(keys))
		if len(token) > 2048 {
			keys = nil
		}
		if (err == nil) != (keys != nil) || !slices.Equal(got, keys) {
			t.Fatalf("%q came back as %q, %v", keys, got, err)
		}
		for name, other := range map[string]page.List{"kind": page.Of("others", filter), "filter": page.Of("things", filter+"x"), "split": page.Of("thing", "s"+filter)} {
			if _, err := other.Parse(token, len(keys)); problem.From(err) == nil || problem.From(err).Reason != page.ReasonTokenInvalid {
				t.Fatalf("a list of another %s took it: %v", name, err)
			}
		}
		if _, err := list.Parse(token, len(keys)+1); err == nil {
			t.Fatal("it was taken for more keys than it has")
		}
	})
}

func TestSize(t *testing.T) {
	for asked, want := range map[int]int{-1: 50, 0: 50, 1: 1, 500: 500, 501: 500, 1 << 40: 500} {
		if got := page.Size(asked); got != want {
			t.Errorf("Size(%d) is %d, want %d", asked, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	list := page.Of("things")
	f.Add(list.Token("a"))
	f.Add(list.Token("a") + "=")
	f.Add(list.Token("a\x00", ""))
	f.Add(list.Token("\xff"))
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, token string) {
		if keys, err := list.Parse(token, 1); err == nil && token != "" && list.Token(keys...) != token {
			t.Errorf("%q is read as %q, whose token is %q", token, keys, list.Token(keys...))
		}
	})
}

func Example() {
	colours := []string{"amber", "blue", "coral"}
	list := page.Of("colours")
	after, _ := list.Parse("", 1)
	fmt.Println(after, colours[:2])
	next := list.Token(colours[1])
	after, _ = list.Parse(next, 1)
	fmt.Println(after, colours[2:])
	// Output:
	// [] [amber blue]
	// [blue] [coral]
}
