package rpc

import (
	"testing"

	"go-micro.dev/v4/metadata"
)

func TestSource(t *testing.T) {
	for header, want := range map[string]string{
		"192.0.2.7":              "192.0.2.7",
		"::ffff:192.0.2.7":       "192.0.2.7",
		"203.0.113.9, 192.0.2.7": "192.0.2.7", // what the client says of itself is not the last
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::/64",
		"2001:db8:1:2::":         "2001:db8:1:2::/64",
		"fe80::1%eth0":           "fe80::/64",
		"":                       "",
		"192.0.2.7,":             "",
		"unknown":                "",
		"192.0.2.7:1234":         "",
		"192.0.2.7' OR '1'='1":   "",
	} {
		if got := source(metadata.NewContext(t.Context(), metadata.Metadata{sourceHeader: header})); got != want {
			t.Errorf("%q is %q, want %q", header, got, want)
		}
	}
	if got := source(t.Context()); got != "" {
		t.Errorf("nothing is %q", got)
	}
}
