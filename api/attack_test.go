package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go-micro.dev/v4/metadata"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/authn"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

const (
	widget      = `{"handle":"x","title":"X","variants":[{"sku":"x-1","price":{"currency":"USD","minor":"5"}}]}`
	closed      = 0 // instead of a status: the connection was closed without one
	forbearance = 60 * time.Second
	publicGet   = "/v1/products/by-handle/mug"
)

var update = flag.Bool("update", false, "write the attacks into docs/security.md") //nolint:gochecknoglobals // a flag of the test program

// attack is what somebody tries, and the statuses of which it may get one.
type attack struct {
	name string
	do   func(*battle) int
	want []int
}

// battle is a gateway under attack.
type battle struct {
	*edge
	tokens *mint
	seen   atomic.Pointer[metadata.Metadata] // what the service was sent last
	inside atomic.Int32                      // calls that are in the service now, and at most
	most   atomic.Int32
}

func (b *battle) get(ctx context.Context, in *catalogv1.GetProductRequest, out *catalogv1.Product) error {
	md, _ := metadata.FromContext(ctx)
	b.seen.Store(&md)
	for n := b.inside.Add(1); ; {
		if m := b.most.Load(); n <= m || b.most.CompareAndSwap(m, n) {
			break
		}
	}
	defer b.inside.Add(-1)
	if in.GetHandle() == "wait" {
		<-ctx.Done()
	}
	out.Handle = in.GetHandle()
	return nil
}

// TestAttacks tries what is known to have worked against somebody's gateway. Each attack gets its answer, and the process lives.
func TestAttacks(t *testing.T) {
	b := &battle{tokens: newMint(t)}
	b.edge = running(t, &shelf{get: b.get}, b.tokens.configure, func(c *api.Config) {
		c.HeaderTimeout, c.ReadTimeout = time.Second, 2*time.Second
	})
	var table strings.Builder
	table.WriteString("\n| attack | answer | in |\n|---|---|---|\n")
	for _, g := range []struct {
		name    string
		attacks []attack
	}{{"tokenAttacks", tokenAttacks()}, {"headAttacks", headAttacks()}, {"bodyAttacks", bodyAttacks()}, {"wireAttacks", wireAttacks()}} {
		for _, a := range g.attacks {
			if got := a.do(b); !slices.Contains(a.want, got) {
				t.Errorf("%s: %s, want %s", a.name, answers(got), answers(a.want...))
			}
			if s := b.edge.get("/healthz").status; s != http.StatusOK {
				t.Fatalf("after %s the gateway's health is %d", a.name, s)
			}
			fmt.Fprintf(&table, "| %s | %s | `%s` |\n", strings.ReplaceAll(a.name, "|", `\|`), answers(a.want...), g.name)
		}
	}
	if s := b.send(http.MethodPost, "/v1/products", widget, "Content-Type", "application/json", "Authorization", b.tokens.good()).status; s != http.StatusOK {
		t.Errorf("at the end a good request is %d", s)
	}
	if n := gathered(t, b.edge, "gateway_panics_total"); len(n) != 1 || n[0] != 0 {
		t.Error("the gateway panicked")
	}
	documented(t, table.String())
}

// answers says what an attack may get.
func answers(status ...int) string {
	var out []string
	for _, s := range status {
		if s == closed {
			out = append(out, "closed")
		} else {
			out = append(out, strconv.Itoa(s))
		}
	}
	return strings.Join(out, " or ")
}

// documented holds the attacks' table in docs/security.md against what was tried, or with -update writes it there.
func documented(t *testing.T, table string) {
	t.Helper()
	const path, begin, end = "../docs/security.md", "<!-- go test ./api -run TestAttacks -update -->\n", "\n<!-- end -->"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), begin)
	was, after, ended := strings.Cut(rest, end)
	switch {
	case !found || !ended:
		t.Errorf("%s has no place for the attacks", path)
	case was == table:
	case !*update:
		t.Errorf("%s doesn't say what was tried: go test ./api -run TestAttacks -update", path)
	case t.Failed():
		t.Errorf("%s is left as it is", path)
	default:
		if err := os.WriteFile(path, []byte(before+begin+table+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// headAttacks are those on addresses and headers.
func headAttacks() []attack {
	path := func(p string) func(*battle) int {
		return func(b *battle) int { return b.raw("GET " + p + " HTTP/1.1\r\nHost: x\r\n\r\n") }
	}
	forged := func(method, target, body, contentType string) func(*battle) int {
		return func(b *battle) int {
			b.seen.Store(nil)
			a := b.send(method, target, body, "Content-Type", contentType, "Cleave-Caller-Kind", "token", "Cleave-Caller-Subject", "root", "cleave-caller-scopes", "*",
				"X-User", "root", "Micro-From-Service", "order", "Grpc-Metadata-Cleave-Caller-Subject", "root", "X-Forwarded-For", "::1")
			if md := b.seen.Load(); md != nil {
				for k, v := range *md {
					if strings.Contains(strings.ToLower(k), "caller") && v != authn.KindNobody || v == "root" || v == "order" || v == "::1" {
						b.t.Errorf("%s: %s: %s reached the service", target, k, v)
					}
				}
			} else {
				b.t.Errorf("%s did not reach the service", target)
			}
			return a.status
		}
	}
	const js = "application/json"
	return []attack{
		{"forged identity headers, REST: none arrives", forged("GET", publicGet, "", js), []int{200}},
		{"forged identity headers, Connect: none arrives", forged("POST", "/shop.catalog.v1.Catalog/GetProduct", `{"handle":"mug"}`, js), []int{200}},
		{"forged identity headers, go-micro: none arrives", forged("POST", "/catalog/Catalog.GetProduct", `{"handle":"mug"}`, js), []int{200}},
		{"forged identity headers, gRPC-Web: none arrives", forged("POST", "/shop.catalog.v1.Catalog/GetProduct", "\x00\x00\x00\x00\x05\x12\x03mug", "application/grpc-web+proto"), []int{200}},
		{"admin method by its name, Connect", func(b *battle) int {
			return b.send("POST", "/shop.catalog.v1.Catalog/CreateProduct", `{"product":`+widget+`}`, "Content-Type", js).status
		}, []int{401}},
		{"admin method by its name, go-micro", func(b *battle) int {
			return b.send("POST", "/catalog/Catalog.CreateProduct", `{"product":`+widget+`}`, "Content-Type", js).status
		}, []int{401}},
		{"method that no contract exposes", func(b *battle) int {
			return b.send("POST", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "{}", "Content-Type", js).status
		}, []int{404}},
		{"path traversal", path("/v1/../metrics"), []int{404}},
		{"path traversal, encoded dots", path("/v1/%2e%2e/metrics"), []int{404}},
		{"path traversal, encoded slashes", path("/v1/products/..%2f..%2fmetrics"), []int{400}},
		{"path traversal, twice encoded", path("/v1/products/%252e%252e%252fmetrics"), []int{400}},
		{"path traversal, backslashes", path(`/v1\..\metrics`), []int{404}},
		{"two slashes", path("//metrics"), []int{404}},
		{"a NUL in the path", path("/v1/products/%00"), []int{400}},
		{"broken percent encoding", path("/v1/products/%zz"), []int{400}},
		{"an absolute address of somebody else", path("http://169.254.169.254/latest/meta-data"), []int{404}},
		{"CONNECT", func(b *battle) int { return b.raw("CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n") }, []int{404}},
		{"TRACE", func(b *battle) int { return b.raw("TRACE " + publicGet + " HTTP/1.1\r\nHost: x\r\n\r\n") }, []int{405}},
		{"address of 9 KiB", path("/v1/products?page_token=" + strings.Repeat("x", 9<<10)), []int{414}},
		{"headers of 70 KiB", func(b *battle) int { return b.edge.get(publicGet, "X-Padding", strings.Repeat("x", 70<<10)).status }, []int{431}},
		{"200 headers", func(b *battle) int {
			var h []string
			for i := range 200 {
				h = append(h, fmt.Sprint("X-", i), "x")
			}
			return b.edge.get(publicGet, h...).status
		}, []int{431}},
		{"headers of 3 MiB", func(b *battle) int {
			return b.raw("GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-P: "+strings.Repeat("x", 1000)+"\r\n", 3000) + "\r\n")
		}, []int{431, closed}},
		{"two Host headers", func(b *battle) int { return b.raw("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") }, []int{400}},
		{"no Host header", func(b *battle) int { return b.raw("GET / HTTP/1.1\r\n\r\n") }, []int{400}},
		{"a space before the colon", func(b *battle) int { return b.raw("GET / HTTP/1.1\r\nHost: x\r\nAuthorization : x\r\n\r\n") }, []int{400}},
		{"a line end in a header", func(b *battle) int { return b.raw("GET / HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n") }, []int{400}},
	}
}

// bodyAttacks are those on bodies.
func bodyAttacks() []attack {
	const js = "application/json"
	return []attack{
		{"body of 5 MiB", func(b *battle) int {
			return b.send("POST", "/v1/carts", strings.Repeat(" ", 5<<20), "Content-Type", js).status
		}, []int{413}},
		{"endless body", func(b *battle) int { return b.chunked(strings.Repeat(" ", 64<<10), 200) }, []int{413}},
		{"JSON nested 5,000 deep: no message of the shop is, so that it ends at a field that isn't there", func(b *battle) int {
			return b.send("POST", "/v1/carts", strings.Repeat(`{"items":[`, 5000), "Content-Type", js).status
		}, []int{400}},
		{"the same key twice", func(b *battle) int {
			a := b.send("POST", "/v1/carts", `{"items":[],"items":[]}`, "Content-Type", js)
			if !strings.Contains(a.body, "duplicate field") {
				b.t.Errorf("it says %s", a.body)
			}
			return a.status
		}, []int{400}},
		{"decompression bomb, REST", func(b *battle) int {
			return b.send("POST", "/v1/carts", bomb(b.t), "Content-Type", js, "Content-Encoding", "gzip").status
		}, []int{415}},
		{"decompression bomb, Connect", func(b *battle) int {
			return b.send("POST", "/shop.catalog.v1.Catalog/GetProduct", bomb(b.t), "Content-Type", js, "Content-Encoding", "gzip").status
		}, []int{429}},
		{"decompression bomb, gRPC-Web frame: grpc-status 8", func(b *battle) int {
			z := bomb(b.t)
			frame := string(binary.BigEndian.AppendUint32([]byte{1}, uint32(len(z)))) + z
			a := b.send("POST", "/shop.catalog.v1.Catalog/GetProduct", frame, "Content-Type", "application/grpc-web+proto", "Grpc-Encoding", "gzip")
			if !strings.Contains(a.body, "grpc-status: 8") && a.header.Get("Grpc-Status") != "8" {
				b.t.Errorf("%v %q", a.header, a.body)
			}
			return a.status
		}, []int{200}},
		{"a body of zstd, REST", func(b *battle) int {
			return b.send("POST", "/v1/carts", zstdBomb(b.t), "Content-Type", js, "Content-Encoding", "zstd").status
		}, []int{415}},
		{"a body of zstd, Connect", func(b *battle) int {
			return b.send("POST", "/shop.catalog.v1.Catalog/GetProduct", zstdBomb(b.t), "Content-Type", js, "Content-Encoding", "zstd").status
		}, []int{415}},
	}
}

// zstdBomb is 256 MiB of spaces in some kilobytes.
func zstdBomb(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	for i := 0; i < 256 && err == nil; i++ {
		_, err = z.Write(bytes.Repeat([]byte(" "), 1<<20))
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// bomb is 256 MiB of spaces in a quarter of a megabyte.
func bomb(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	for range 256 {
		if _, err := z.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
