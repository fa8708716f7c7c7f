// Package ui looks at Consul's UI as a person does, in Chromium.
package ui

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/cleavehq/cleave/test/harness"
)

const (
	width, height = 1280, 1500
	limit         = 4 * time.Minute
)

var binary harness.Bin //nolint:gochecknoglobals // built once for the package, TestMain removes it

func TestMain(m *testing.M) {
	code := m.Run()
	binary.Remove()
	os.Exit(code)
}

// The whole shop in a mesh, in a Consul whose ACLs and intentions deny what nobody has allowed: a person who may look, and no more, logs in and
// finds every service, well, with tags that say what it is, and a link to the gateway.
func TestConsulsUIShowsTheShop(t *testing.T) {
	gateway := harness.FreeAddr(t)
	consul := harness.StartClosedConsul(t, dashboard(t, gateway), "ui_config { enabled = true }")
	s := harness.OneProcessAt(t, binary.Build(t), consul, gateway, "--mesh", "--log-level", "warn")
	viewer, err := os.ReadFile(filepath.Join(s.DataDir(), "consul", "tokens", "viewer"))
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, "http://"+consul.Addr, strings.TrimSpace(string(viewer)))

	p.goTo("/ui/dc1/services", "catalog")
	for _, name := range append(harness.Modules(), "gateway") {
		row := p.row(name)
		for _, want := range []string{"1 instance", "go-micro", "module"} {
			if !strings.Contains(row, want) {
				t.Errorf("the row of %s lacks %q: %s", name, want, row)
			}
		}
		if name != "gateway" && (!strings.Contains(row, "grpc") || !strings.Contains(row, "micro")) {
			t.Errorf("the row of %s doesn't say what it speaks: %s", name, row)
		}
		if !p.well(name) {
			t.Errorf("%s isn't shown as well: %s", name, row)
		}
	}
	p.picture("consul-services.png")

	p.goTo("/ui/dc1/services/order/intentions", "gateway")
	if text := p.text(); !strings.Contains(text, "cleave-cli") {
		t.Errorf("the intentions of order are %s", text)
	}
	p.picture("consul-intentions.png")

	p.goTo("/ui/dc1/services/catalog/instances", "All service checks passing")
	link := get(p, chromedp.Evaluate[string](`[...document.querySelectorAll("a")].find(a => a.textContent.includes("Open dashboard"))?.href ?? ""`))
	if link != "http://"+gateway+"/#catalog" {
		t.Errorf("the link goes to %q", link)
	}
	get(p, chromedp.Navigate(link))
	if text := p.text(); !strings.Contains(text, "/v1/products") {
		t.Errorf("the gateway's page of routes is %s", text)
	}
}

// dashboard is the part of consul/agent.hcl that makes the link, with the gateway's own address.
func dashboard(t *testing.T, gateway string) string {
	t.Helper()
	return fmt.Sprintf(`ui_config { dashboard_url_templates { service = "http://%s/#{{Service.Name}}" } }`, gateway)
}

// browser is Chromium at one page.
type browser struct {
	t    *testing.T
	ctx  context.Context
	tab  context.Context // ctx without its limit
	base string
}

// open starts Chromium, and logs in with a token: the UI keeps it in the browser's storage.
func open(t *testing.T, base, token string) *browser {
	t.Helper()
	path := os.Getenv("CLEAVE_TEST_CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path == "" {
			path, _ = exec.LookPath(name) // the next one may be there
		}
	}
	if path == "" {
		t.Fatal("this test needs Chromium: apt-get install chromium, or set CLEAVE_TEST_CHROMIUM")
	}
	alloc, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(width, height), chromedp.UserDataDir(t.TempDir()))...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, base: base}
	self := read(t, base, token)
	store, err := json.Marshal(map[string]string{"AccessorID": self.AccessorID, "SecretID": token, "Namespace": "default", "Partition": "default"})
	if err != nil {
		t.Fatal(err)
	}
	value, err := json.Marshal(string(store))
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(b.ctx); err != nil { // starts it
		t.Fatal(err)
	}
	b.tab = ctx
	b.ctx, cancel = context.WithTimeout(ctx, limit)
	t.Cleanup(cancel)
	get(b, chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
		_, err := cdp.Call(ctx, to, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
			Source: `localStorage.setItem("consul:token", ` + string(value) + `)`,
		})
		return err
	}))
	return b
}

type accessor struct{ AccessorID string }

func read(t *testing.T, base, token string) (a accessor) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v1/acl/token/self", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Consul-Token", token)
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	if err := json.NewDecoder(rsp.Body).Decode(&a); err != nil || a.AccessorID == "" {
		t.Fatalf("the token is not good: %v", err)
	}
	return a
}

// get runs an action, and keeps a picture when it fails.
func get[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	out, err := chromedp.Run(b.ctx, action)
	if err != nil {
		text, also := chromedp.Run(b.tab, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
		b.t.Fatalf("%v; the page is (%v)\n%s", err, also, text)
	}
	return out
}

// goTo opens a page, and waits until it shows a text.
func (b *browser) goTo(path, text string) {
	b.t.Helper()
	get(b, chromedp.Navigate(b.base+path))
	get(b, chromedp.Poll[bool](fmt.Sprintf(`document.body.innerText.includes(%q)`, text)))
}

// text is all that a page says.
func (b *browser) text() string {
	b.t.Helper()
	return get(b, chromedp.Evaluate[string](`document.body.innerText`))
}

// rowOf finds a service in the list.
func rowOf(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("li")].find(li => [...li.querySelectorAll("a")].some(a => a.textContent.trim() === %q))`, name)
}

// row is what the list of services says of one.
func (b *browser) row(name string) string {
	b.t.Helper()
	return strings.Join(strings.Fields(get(b, chromedp.Evaluate[string](`(`+rowOf(name)+`)?.innerText ?? ""`))), " ")
}

// well says that the list shows one as healthy.
func (b *browser) well(name string) bool {
	b.t.Helper()
	return get(b, chromedp.Evaluate[bool](`(`+rowOf(name)+`)?.innerHTML.includes("passing") ?? false`))
}

// picture keeps what is seen, where `go test -artifacts` wants it.
func (b *browser) picture(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Errorf("take a picture: %v", err)
		return
	}
	path := filepath.Join(b.t.ArtifactDir(), name)
	if err := os.WriteFile(path, png, 0o600); err != nil {
		b.t.Error(err)
	}
	b.t.Logf("%s has %d bytes", path, len(png))
}
