package api_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestTheReferenceLoadsNothingFromElsewhere: the page, its script and its style come from here, and nothing in them is inline or from another host.
func TestTheReferenceLoadsNothingFromElsewhere(t *testing.T) {
	e := running(t, &shelf{})
	page := e.get("/docs")
	policy := page.header.Get("Content-Security-Policy")
	if page.status != http.StatusOK || !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") || !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") ||
		strings.Contains(policy, "unsafe") {
		t.Errorf("%d %v", page.status, page.header)
	}
	if m := regexp.MustCompile(`(?i)<script>|<style|\son[a-z]+=|\sstyle=|(src|href)="(https?:)?//`).FindString(page.body); m != "" {
		t.Errorf("inline, or from elsewhere: %s", m)
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="(/docs/[^"]+)"`).FindAllStringSubmatch(page.body, -1) {
		a := e.get(m[1])
		if a.status != http.StatusOK || a.header.Get("X-Content-Type-Options") != "nosniff" || strings.Contains(a.header.Get("Content-Type"), "html") {
			t.Errorf("%s: %d %v", m[1], a.status, a.header)
		}
		if bad := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|localStorage|sessionStorage|document\.cookie|https?://`).FindString(a.body); bad != "" {
			t.Errorf("%s has %s", m[1], bad)
		}
	}
	if a := e.send(http.MethodPost, "/docs", ""); a.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", a.status)
	}
	if a := e.get("/", "Accept", "text/html"); !strings.Contains(a.body, `href="/docs"`) {
		t.Error("the first page doesn't lead there")
	}
}

// TestEventsAreDescribed: those that a contract exposes, with who may hear them, every reference leads somewhere, and the document has an ETag.
func TestEventsAreDescribed(t *testing.T) {
	e := running(t, &shelf{})
	var doc map[string]any
	e.eventually("told", func() bool {
		a := e.get("/asyncapi.json")
		if json.Unmarshal([]byte(a.body), &doc) != nil || len(doc["channels"].(map[string]any)) == 0 {
			return false
		}
		if again := e.get("/asyncapi.json", "If-None-Match", a.header.Get("Etag")); again.status != http.StatusNotModified {
			t.Errorf("unchanged: %d", again.status)
		}
		return true
	})
	const topic = "shop.catalog.v1.ProductChanged"
	if doc["asyncapi"] != "3.0.0" {
		t.Errorf("version %v", doc["asyncapi"])
	}
	op := doc["operations"].(map[string]any)["send."+topic].(map[string]any)
	if op["action"] != "send" || op["x-scopes"].([]any)[0] != "catalog.read" || len(op["security"].([]any)) != 2 {
		t.Errorf("%v", op)
	}
	if c := doc["channels"].(map[string]any)[topic].(map[string]any); c["address"] != topic {
		t.Errorf("%v", c)
	}
	message := doc["components"].(map[string]any)["messages"].(map[string]any)[topic].(map[string]any)
	example, _ := message["examples"].([]any)[0].(map[string]any)["payload"].(map[string]any)
	if example["eventId"] == nil || example["product"] == nil {
		t.Errorf("example %v", example)
	}
	for _, ref := range references(doc) {
		at := any(doc)
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := at.(map[string]any)
			at = m[part]
		}
		if at == nil {
			t.Errorf("%s leads nowhere", ref)
		}
	}
}

func references(v any) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			out = append(out, ref)
		}
		for _, x := range v {
			out = append(out, references(x)...)
		}
	case []any:
		for _, x := range v {
			out = append(out, references(x)...)
		}
	}
	return out
}
