package api

import (
	"embed"
	"net/http"
	"path"

	"github.com/cleavehq/cleave/chassis/problem"
)

//go:embed docs
var docs embed.FS

// docsPolicy lets the page load its own script and style and speak to its own host, and nothing else: no CDN, nothing inline.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// reference sends the page that shows /openapi.json to people, and what belongs to it.
func (x *exchange) reference() {
	name, media := "index.html", "text/html; charset=utf-8"
	switch x.r.URL.Path {
	case docsScript:
		name, media = path.Base(docsScript), "text/javascript; charset=utf-8"
	case docsStyle:
		name, media = path.Base(docsStyle), "text/css; charset=utf-8"
	}
	b, err := docs.ReadFile("docs/" + name)
	if err != nil {
		x.fail(problem.Internal(err))
		return
	}
	h := x.w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("Cache-Control", "no-cache")
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write(b)
	}
}
