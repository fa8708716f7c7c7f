package discovery

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"go-micro.dev/v4/registry"
)

// payload is what go-micro's own mdns registry puts into a TXT record: JSON, zlib, hex, in strings of 255 bytes
// (go-micro.dev/v4/registry/mdns_registry.go, mdnsTxt).
type payload struct {
	Metadata  map[string]string
	Service   string
	Version   string
	Endpoints []*registry.Endpoint
}

const (
	// maxTXT bounds the record so that one announcement stays under the 9000 bytes of RFC 6762, section 17.
	maxTXT = 8000
	// maxUnpacked bounds what a stranger's record may unzip to.
	maxUnpacked = 1 << 20
	// valueDepth is how deep go-micro describes an endpoint's values.
	valueDepth = 3
)

// encodeTXT packs p. When it is too long the endpoints' values are cut, the deepest first, and with the last of them the
// endpoints' metadata: names are what a caller needs, the rest is for display.
func encodeTXT(p payload) ([]string, error) {
	for depth := valueDepth; ; depth-- {
		text, err := packTXT(p)
		if err != nil {
			return nil, err
		}
		if len(text) <= maxTXT {
			return split(text, 255), nil
		}
		if depth == 0 {
			return nil, fmt.Errorf("its record is longer than %d bytes even without endpoint values", maxTXT)
		}
		p.Endpoints = trim(p.Endpoints, depth-1)
	}
}

func packTXT(p payload) (string, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	if _, err := w.Write(b); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return hex.EncodeToString(buf.Bytes()), nil
}

// trim returns endpoints with values cut below depth; depth 0 also drops their metadata.
func trim(in []*registry.Endpoint, depth int) []*registry.Endpoint {
	out := make([]*registry.Endpoint, len(in))
	for i, e := range in {
		c := *e
		c.Request, c.Response = cut(e.Request, depth), cut(e.Response, depth)
		if depth == 0 {
			c.Metadata = nil
		}
		out[i] = &c
	}
	return out
}

func cut(v *registry.Value, depth int) *registry.Value {
	if v == nil || depth == 0 {
		return nil
	}
	c := *v
	c.Values = nil
	if depth > 1 {
		for _, child := range v.Values {
			c.Values = append(c.Values, cut(child, depth-1))
		}
	}
	return &c
}

func split(s string, n int) []string {
	var out []string
	for len(s) > n {
		out = append(out, s[:n])
		s = s[n:]
	}
	return append(out, s)
}

// decodeTXT is encodeTXT's inverse.
func decodeTXT(txt []string) (payload, error) {
	var p payload
	b, err := hex.DecodeString(strings.Join(txt, ""))
	if err != nil {
		return p, err
	}
	r, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return p, err
	}
	defer r.Close()
	if b, err = io.ReadAll(io.LimitReader(r, maxUnpacked)); err != nil {
		return p, err
	}
	err = json.Unmarshal(b, &p)
	return p, err
}
