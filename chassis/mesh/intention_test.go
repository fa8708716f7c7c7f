package mesh

import (
	"net/url"
	"testing"
)

func TestTheMostPreciseIntentionDecides(t *testing.T) {
	in := NewIntentions([]Intention{
		{Any, Any, true}, {"cart", Any, false}, {Any, "payment", false}, {"order", "payment", true}, {"cart", "pricing", true}, {"x", "y", true}, {"x", "y", false},
	}, false)
	for _, c := range []struct {
		source, destination string
		want                bool
	}{
		{"order", "payment", true}, {"catalog", "payment", false}, {"cart", "payment", false}, {"cart", "catalog", false},
		{"cart", "pricing", true}, {"catalog", "pricing", true}, {"x", "y", false},
	} {
		if got := in.Allows(c.source, c.destination); got != c.want {
			t.Errorf("%s to %s: %v", c.source, c.destination, got)
		}
	}
	if (Intentions{}).Allows("a", "b") || !NewIntentions(nil, true).Allows("a", "b") {
		t.Error("the default isn't kept to")
	}
}

func TestParseID(t *testing.T) {
	const good = "spiffe://Abc.consul/ns/default/dc/home/svc/catalog"
	parse := func(text string) (ID, error) {
		u, err := url.Parse(text)
		if err != nil {
			return ID{}, err
		}
		return ParseID(u)
	}
	id, err := parse(good)
	if err != nil || id != (ID{"abc.consul", "home", "catalog"}) || id.URL().String() != id.String() {
		t.Errorf("%v, %v", id, err)
	}
	for _, bad := range []string{
		"https://abc.consul/ns/default/dc/home/svc/catalog", "spiffe:///ns/default/dc/home/svc/catalog", "spiffe://a/ns/other/dc/home/svc/catalog",
		"spiffe://a/ap/p/ns/default/dc/home/svc/catalog", "spiffe://a/ns/default/dc/home/svc/", "spiffe://a/ns/default/dc/home/svc/a/b",
		"spiffe://a/ns/default/dc//svc/a", "spiffe://a/agent/client/dc/home/id/x", "spiffe://a/ns/default/dc/home/svc/*", good + "?x=1", good + "#x",
		"spiffe://u@a/ns/default/dc/home/svc/a", "spiffe://a/ns/default/dc/home/svc/a%2Fb",
	} {
		if id, err := parse(bad); err == nil {
			t.Errorf("%s was taken for %v", bad, id)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("spiffe://a.consul/ns/default/dc/home/svc/catalog")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil {
			return
		}
		id, err := ParseID(u)
		if err != nil {
			return
		}
		again, err := ParseID(id.URL())
		if err != nil || again != id {
			t.Errorf("%q is %v, and that is %v, %v", text, id, again, err)
		}
	})
}
