package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/cleavehq/cleave/api/internal/openapi"
	"github.com/cleavehq/cleave/chassis/problem"
)

//go:embed index.html
var indexHTML string

// info is what the gateway's documents say of it.
func (g *Gateway) info() openapi.Info {
	return openapi.Info{Version: g.c.Version, MaxBody: g.maxBody(), MaxHeader: g.c.MaxHeader, Timeout: g.tuned.Load().Timeout}
}

// document sends /openapi.json.
func (x *exchange) document() {
	x.sendDocument("application/vnd.oai.openapi+json;version=3.1", func(t *table) ([]byte, string) { return t.openapi, t.etag })
}

// sendDocument sends a document of the routes, or says that it is the one that the client has.
func (x *exchange) sendDocument(media string, of func(*table) (doc []byte, etag string)) {
	t := x.routes()
	if t == nil {
		return
	}
	doc, etag := of(t)
	h := x.w.Header()
	h.Set("ETag", etag)
	h.Set("Cache-Control", "no-cache") // ask whether it has changed
	if slices.Contains(strings.Split(strings.ReplaceAll(x.r.Header.Get("If-None-Match"), " ", ""), ","), etag) {
		x.w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", media)
	_, _ = x.w.Write(doc)
}

// indexRoute is a line of the first page.
type indexRoute struct {
	Method   string `json:"method"`
	Path     string `json:"path"`
	Service  string `json:"service"`
	Endpoint string `json:"endpoint"`
	// Anchor is the service on its first line, so that a link can lead there: Consul's UI has one.
	Anchor string `json:"-"`
	// Link says that the path can be followed as it stands.
	Link bool `json:"-"`
}

// index sends the first page: what there is, for a browser or for a program.
func (x *exchange) index() {
	var routes []indexRoute
	if t := x.g.table.Load(); t != nil {
		seen := map[string]bool{}
		for _, e := range t.endpoints {
			r := indexRoute{Method: e.method, Path: e.template.String(), Service: e.service, Endpoint: e.name}
			r.Link = e.method == http.MethodGet && len(e.template.Variables) == 0
			if !seen[e.service] {
				seen[e.service], r.Anchor = true, e.service
			}
			routes = append(routes, r)
		}
	}
	data := struct {
		Version string       `json:"version"`
		Links   []string     `json:"links"`
		Routes  []indexRoute `json:"routes"`
	}{x.g.c.Version, []string{docsPage, openapiPage, asyncapiPage, mcpPath, livenessPage, readyPage}, routes}
	x.w.Header().Set("Vary", "Accept")
	if strings.Contains(x.r.Header.Get("Accept"), "text/html") {
		x.page(data)
		return
	}
	b, err := json.MarshalIndent(data, "", "  ")
	if err != nil {
		x.fail(problem.Internal(err))
		return
	}
	x.w.Header().Set("Content-Type", jsonType)
	_, _ = x.w.Write(append(b, '\n'))
}

func (x *exchange) page(data any) {
	t, err := template.New("index").Parse(indexHTML)
	if err != nil {
		x.fail(problem.Internal(err))
		return
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		x.fail(problem.Internal(err))
		return
	}
	h := x.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	_, _ = x.w.Write(b.Bytes())
}
