package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go-micro.dev/v4/metadata"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/apikey"
	"github.com/cleavehq/cleave/chassis/kv"
	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

// counted is a shelf whose products say how often it was asked, and by whom.
func counted(asked *atomic.Int32, size int) *shelf {
	return &shelf{get: func(ctx context.Context, in *catalogv1.GetProductRequest, out *catalogv1.Product) error {
		md, _ := metadata.FromContext(ctx)
		n := asked.Add(1)
		if in.GetHandle() == "none" {
			return problem.NotFound("PRODUCT_NOT_FOUND", "there is no such product")
		}
		out.Handle, out.Title = in.GetHandle(), fmt.Sprintf("%d for %s %s", n, md["Cleave-Caller-Kind"], md["Cleave-Caller-Subject"])
		out.DescriptionHtml = strings.Repeat("long ", size/5)
		return nil
	}}
}

const (
	aMug   = "/v1/products/by-handle/mug"
	getOne = "shop.catalog.v1.Catalog/GetProduct"
)

func policies(document string) func(*api.Config) {
	return func(c *api.Config) { c.Overrides = kv.Static{getOne: []byte(document)} }
}

func TestAnswersOfPublicMethodsAreKeptForAll(t *testing.T) {
	var asked atomic.Int32
	tokens := newMint(t)
	e := running(t, counted(&asked, 10), tokens.configure, policies(`{"cache": {"max_age": "1h", "stale_while_revalidate": "2h"}}`))
	first := e.get(aMug, "X-Api-Key", tokens.key)
	if first.status != http.StatusOK || !strings.Contains(first.body, "1 for nobody ") || first.header.Get("Cache-Control") != "public, max-age=3600, stale-while-revalidate=7200" ||
		first.header.Get("Cache-Status") != "cleave; fwd=uri-miss; stored; ttl=3600" || first.header.Get("Age") != "" {
		t.Fatalf("%d %v %s", first.status, first.header, first.body)
	}
	tag := first.header.Get("Etag")
	again := e.get(aMug)
	if again.body != first.body || !strings.HasPrefix(again.header.Get("Cache-Status"), "cleave; hit; ttl=3") || again.header.Get("Age") == "" || again.header.Get("Etag") != tag {
		t.Errorf("%v %s", again.header, again.body)
	}
	for given, want := range map[string]int{tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200} {
		a := e.get(aMug, "If-None-Match", given)
		if a.status != want || a.header.Get("Etag") != tag || want == http.StatusNotModified && (a.body != "" || a.header.Get("Content-Length") != "") {
			t.Errorf("%s: %d %v", given, a.status, a.header)
		}
	}
	if a := e.send(http.MethodHead, aMug, ""); a.status != http.StatusOK || a.header.Get("Etag") != tag || a.body != "" {
		t.Errorf("HEAD: %d %v", a.status, a.header)
	}
	if a := e.get(aMug, "Cache-Control", "no-cache"); a.body != first.body {
		t.Errorf("anybody can make it ask: %s", a.body)
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	forced := e.get(aMug, "Cache-Control", "max-age=0, No-Cache", "X-Api-Key", tokens.key)
	if !strings.Contains(forced.body, "2 for nobody ") || forced.header.Get("Cache-Status") != "cleave; fwd=request; stored; ttl=3600" || forced.header.Get("Etag") == tag {
		t.Errorf("%v %s", forced.header, forced.body)
	}
	if a := e.get(aMug); a.body != forced.body {
		t.Errorf("after that: %s", a.body)
	}
	// Connect's GET is another form of it, in its two codecs.
	for codec, want := range map[string]string{"json": "application/json", "proto": "application/proto"} {
		before := asked.Load()
		path := "/" + getOne + "?encoding=" + codec + "&message=" + `%7B%22handle%22:%22mug%22%7D`
		if codec == "proto" {
			path = "/" + getOne + "?encoding=proto&base64=1&message=" + base64.RawURLEncoding.EncodeToString([]byte("\x12\x03mug"))
		}
		one, two := e.get(path), e.get(path)
		if one.status != http.StatusOK || one.header.Get("Content-Type") != want || two.body != one.body || asked.Load() != before+1 ||
			!strings.HasPrefix(two.header.Get("Cache-Status"), "cleave; hit") || e.get(path, "If-None-Match", two.header.Get("Etag")).status != http.StatusNotModified {
			t.Errorf("%s: %d %v %q, then %v", codec, one.status, one.header, one.body, two.header)
		}
	}
	// A POST is no GET, and what failed isn't kept.
	before := asked.Load()
	for range 2 {
		if a := e.json(http.MethodPost, "/"+getOne, `{"handle":"mug"}`); a.status != http.StatusOK || a.header.Get("Cache-Status") != "" || a.header.Get("Etag") != "" {
			t.Errorf("%d %v", a.status, a.header)
		}
		if a := e.get("/v1/products/by-handle/none"); a.status != http.StatusNotFound || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v", a.status, a.header)
		}
	}
	if n := asked.Load() - before; n != 4 {
		t.Errorf("asked %d times", n)
	}
	if m := e.scrape(); !strings.Contains(m, `gateway_cache_total{how="forced"} 1`) || !strings.Contains(m, `gateway_cache_total{how="miss"} 3`) {
		t.Error("the metrics")
	}
}

// TestAnswersForKnownCallersAreTheirs: nobody gets what was kept for somebody else.
func TestAnswersForKnownCallersAreTheirs(t *testing.T) {
	var asked atomic.Int32
	tokens := newMint(t)
	wide := tokens.apikey("shop", time.Time{}, func(k *apikey.Key) { k.Scopes = []string{"*"} })
	e := running(t, counted(&asked, 10), tokens.configure, policies(`{"public": false, "cache": {"max_age": "1h"}}`))
	for i, c := range []struct{ header, value, want string }{
		{"X-Api-Key", tokens.key, "1 for key shop"}, {"X-Api-Key", tokens.key, "1 for key shop"},
		{"Authorization", tokens.good(), "2 for token u1"}, {"Authorization", tokens.good(), "2 for token u1"},
		{"X-Api-Key", wide, "3 for key shop"}, // the same name, and more scopes
		{"X-Api-Key", tokens.key, "1 for key shop"},
	} {
		a := e.get(aMug, c.header, c.value)
		if !strings.Contains(a.body, c.want) || a.header.Get("Cache-Control") != "private, max-age=3600" || !strings.Contains(strings.Join(a.header["Vary"], ","), "Authorization") {
			t.Errorf("%d: %v %s", i, a.header, a.body)
		}
	}
	if a := e.get(aMug); a.status != http.StatusUnauthorized || a.header.Get("Etag") != "" {
		t.Errorf("nobody: %d %v", a.status, a.header)
	}
}

func TestManyWhoMissAskOnceAndStaleIsServed(t *testing.T) {
	var asked atomic.Int32
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	let := make(chan struct{}, 10)
	h := counted(&asked, 10)
	get := h.get
	h.get = func(ctx context.Context, in *catalogv1.GetProductRequest, out *catalogv1.Product) error {
		<-let
		return get(ctx, in, out)
	}
	e := running(t, h, policies(`{"cache": {"max_age": "10s", "stale_while_revalidate": "10s"}}`), func(c *api.Config) {
		c.Now = func() time.Time { return time.Unix(0, now.Load()) }
	})
	first, leave := context.WithCancel(t.Context())
	go func() { // who asked first goes
		req, _ := http.NewRequestWithContext(first, http.MethodGet, e.base+aMug, nil)
		if rsp, err := e.http.Do(req); err == nil {
			_ = rsp.Body.Close()
		}
	}()
	e.eventually("asked", func() bool {
		return strings.Contains(e.scrape(), "gateway_requests_in_flight 1\n")
	})
	var all sync.WaitGroup
	var got sync.Map
	for range 20 {
		all.Go(func() {
			a := e.get(aMug)
			got.Store(fmt.Sprint(a.status, " ", a.body), true)
		})
	}
	e.eventually("twenty wait", func() bool { return strings.Contains(e.scrape(), "gateway_requests_in_flight 21\n") })
	leave()
	e.eventually("one has gone", func() bool { return strings.Contains(e.scrape(), "gateway_requests_in_flight 20\n") })
	let <- struct{}{}
	all.Wait()
	got.Range(func(k, _ any) bool {
		if s := fmt.Sprint(k); !strings.HasPrefix(s, "200 ") || !strings.Contains(s, "1 for nobody") {
			t.Error(s)
		}
		return true
	})
	now.Add(int64(11 * time.Second))
	stale := e.get(aMug) // and the shelf doesn't answer
	if !strings.Contains(stale.body, "1 for") || stale.header.Get("Age") != "11" || stale.header.Get("Cache-Status") != "cleave; hit; ttl=-1" {
		t.Errorf("%v %s", stale.header, stale.body)
	}
	let <- struct{}{}
	e.eventually("refreshed", func() bool { return strings.Contains(e.get(aMug).body, "2 for") })
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
	close(let)
}

func TestAnswersAreCompressed(t *testing.T) {
	for name, document := range map[string]string{"kept": `{"cache": {"max_age": "1h"}}`, "not kept": `{}`} {
		t.Run(name, func(t *testing.T) { compressed(t, document, name == "kept") })
	}
}

func compressed(t *testing.T, document string, kept bool) {
	var asked atomic.Int32
	e := running(t, counted(&asked, 10_000), policies(document), func(c *api.Config) { c.Origins = []string{"https://shop.example"} })
	plain := e.get(aMug)
	if plain.header.Get("Content-Encoding") != "" || strings.Join(plain.header["Vary"], ",") != "Origin,Accept-Encoding" {
		t.Errorf("%v", plain.header)
	}
	for accept, want := range map[string]string{"gzip": "gzip", "zstd": "zstd", "gzip, zstd": "zstd", "gzip, zstd;q=0.5": "gzip", "gzip;q=0": "", "br": "", "*": "zstd"} {
		a := e.get(aMug, "Accept-Encoding", accept)
		if a.header.Get("Content-Encoding") != want || want != "" && len(a.body) > 1000 || a.header.Get("Content-Length") != strconv.Itoa(len(a.body)) {
			t.Errorf("%s: %v, %d bytes", accept, a.header, len(a.body))
		}
		if tag := a.header.Get("Etag"); kept && (tag == "" || (want == "") != (tag == plain.header.Get("Etag")) || e.get(aMug, "If-None-Match", tag).status != http.StatusNotModified) {
			t.Errorf("%s: %s, and plain is %s", accept, tag, plain.header.Get("Etag"))
		}
		if body := unpacked(t, want, a.body); !strings.Contains(body, "long long") || kept && body != plain.body {
			t.Errorf("%s: %.100s", accept, body)
		}
	}
	a := e.send(http.MethodPost, "/"+getOne, `{"handle":"mug"}`, "Content-Type", "application/json", "Accept-Encoding", "gzip;q=0.1, zstd")
	if a.header.Get("Content-Encoding") != "zstd" || !strings.Contains(unpacked(t, "zstd", a.body), "long long") {
		t.Errorf("Connect: %v", a.header)
	}
	if a := e.get("/v1/variants/a", "Accept-Encoding", "gzip"); a.header.Get("Content-Encoding") != "" || strings.Join(a.header["Vary"], ",") != "Origin" {
		t.Errorf("a short one: %v", a.header)
	}
}

func unpacked(t *testing.T, coding, body string) string {
	t.Helper()
	var r io.Reader = strings.NewReader(body)
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(r); err == nil {
			defer z.Close()
			r = z
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Error(err)
	}
	return b.String()
}
