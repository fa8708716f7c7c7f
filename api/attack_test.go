package api_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/klauspost/compress/zstd"
	"go-micro.dev/v4/metadata"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

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
	all := slices.Concat(tokenAttacks(), headAttacks(), bodyAttacks(), wireAttacks())
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, a := range all {
		got := a.do(b)
		said := fmt.Sprint(got)
		if got == closed {
			said = "closed"
		}
		fmt.Fprintf(w, "%s\t%s\n", a.name, said)
		if !slices.Contains(a.want, got) {
			t.Errorf("%s: %s, want one of %v", a.name, said, a.want)
		}
		if s := b.edge.get("/healthz").status; s != http.StatusOK {
			t.Fatalf("after %s the gateway's health is %d", a.name, s)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if s := b.send(http.MethodPost, "/v1/products", widget, "Content-Type", "application/json", "Authorization", b.tokens.good()).status; s != http.StatusOK {
		t.Errorf("at the end a good request is %d", s)
	}
	if n := gathered(t, b.edge, "gateway_panics_total"); len(n) != 1 || n[0] != 0 {
		t.Error("the gateway panicked")
	}
	_, _ = fmt.Fprintf(os.Stdout, "%d attacks\n%s", len(all), table.String())
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
					if strings.Contains(strings.ToLower(k), "caller") && v != authn.KindNobody || v == "root" || v == "order" {
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
		{"forged identity headers, REST", forged("GET", publicGet, "", js), []int{200}},
		{"forged identity headers, Connect", forged("POST", "/shop.catalog.v1.Catalog/GetProduct", `{"handle":"mug"}`, js), []int{200}},
		{"forged identity headers, go-micro", forged("POST", "/catalog/Catalog.GetProduct", `{"handle":"mug"}`, js), []int{200}},
		{"forged identity headers, gRPC-Web", forged("POST", "/shop.catalog.v1.Catalog/GetProduct", "\x00\x00\x00\x00\x05\x12\x03mug", "application/grpc-web+proto"), []int{200}},
		{"admin method by its name, Connect", func(b *battle) int {
			return b.send("POST", "/shop.catalog.v1.Catalog/CreateProduct", `{"product":`+widget+`}`, "Content-Type", js).status
		}, []int{401}},
		{"admin method by its name, go-micro", func(b *battle) int {
			return b.send("POST", "/catalog/Catalog.CreateProduct", `{"product":`+widget+`}`, "Content-Type", js).status
		}, []int{401}},
		{"method that no contract exposes", func(b *battle) int {
			return b.send("POST", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "{}", "Content-Type", js).status
		}, []int{404}},
		{"path traversal", path("/v1/../metrics"), []int{400, 404}},
		{"path traversal, encoded dots", path("/v1/%2e%2e/metrics"), []int{400, 404}},
		{"path traversal, encoded slashes", path("/v1/products/..%2f..%2fmetrics"), []int{400, 404}},
		{"path traversal, twice encoded", path("/v1/products/%252e%252e%252fmetrics"), []int{400, 404}},
		{"path traversal, backslashes", path(`/v1\..\metrics`), []int{400, 404}},
		{"two slashes", path("//metrics"), []int{400, 404}},
		{"a NUL in the path", path("/v1/products/%00"), []int{400, 404}},
		{"broken percent encoding", path("/v1/products/%zz"), []int{400}},
		{"an absolute address of somebody else", path("http://169.254.169.254/latest/meta-data"), []int{404}},
		{"CONNECT", func(b *battle) int { return b.raw("CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n") }, []int{404, 405}},
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
		{"JSON nested 5,000 deep", func(b *battle) int {
			return b.send("POST", "/v1/carts", strings.Repeat(`{"items":[`, 5000), "Content-Type", js).status
		}, []int{400}},
		{"the same key twice", func(b *battle) int {
			return b.send("POST", "/v1/carts", `{"currency":"EUR","currency":"USD"}`, "Content-Type", js).status
		}, []int{400}},
		{"decompression bomb, REST", func(b *battle) int {
			return b.send("POST", "/v1/carts", bomb(b.t), "Content-Type", js, "Content-Encoding", "gzip").status
		}, []int{415}},
		{"decompression bomb, Connect", func(b *battle) int {
			return b.send("POST", "/shop.catalog.v1.Catalog/GetProduct", bomb(b.t), "Content-Type", js, "Content-Encoding", "gzip").status
		}, []int{400, 413, 429}},
		{"decompression bomb, gRPC-Web frame", func(b *battle) int {
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
		}, []int{400, 404, 415, 501}},
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

// wireAttacks are those on HTTP's own framing, and on the time of a connection.
func wireAttacks() []attack {
	post := func(headers, body string) func(*battle) int {
		return func(b *battle) int {
			return b.raw("POST /v1/carts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + headers + "\r\n" + body)
		}
	}
	return []attack{
		{"smuggling: Content-Length and chunked", func(b *battle) int {
			b.seen.Store(nil)
			status := b.raw("POST /v1/carts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n" +
				"2\r\n{}\r\n0\r\n\r\nGET " + publicGet + " HTTP/1.1\r\nHost: x\r\n\r\n")
			if b.seen.Load() != nil {
				b.t.Error("the request that was smuggled in was served")
			}
			return status
		}, []int{200, 400}},
		{"smuggling: two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{} "), []int{400}},
		{"smuggling: a length with a sign", post("Content-Length: +2\r\n", "{}"), []int{400}},
		{"smuggling: chunked, in disguise", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), []int{400, 501}},
		{"smuggling: chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), []int{400, 501}},
		{"smuggling: a chunk of a wrong length", post("Transfer-Encoding: chunked\r\n", "-1\r\n{}\r\n0\r\n\r\n"), []int{400}},
		{"smuggling: a space before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), []int{400}},
		{"smuggling: chunked, folded", post("Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), []int{200, 400, 501}},
		{"smuggling: chunked over HTTP/1.0", func(b *battle) int {
			b.seen.Store(nil)
			status := b.raw("POST /v1/carts HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n" +
				"2\r\n{}\r\n0\r\n\r\nGET " + publicGet + " HTTP/1.1\r\nHost: x\r\n\r\n")
			if b.seen.Load() != nil {
				b.t.Error("the request that was smuggled in was served")
			}
			return status
		}, []int{200, 400, 501}},
		{"slow headers", func(b *battle) int { return b.raw("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ") }, []int{closed, 408}},
		{"slow body", post("Content-Length: 100\r\n", "{"), []int{408}},
		{"a connection that says nothing", func(b *battle) int { return b.raw("") }, []int{closed, 408}},
		{"HTTP/2 rapid reset, 5,000 streams", rapidReset, []int{closed, 200}},
		{"HTTP/2 endless headers", endlessHeaders, []int{closed}},
	}
}

func (b *battle) dial() net.Conn {
	b.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(b.base, "http://"))
	if err == nil {
		err = c.SetDeadline(time.Now().Add(forbearance))
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// raw writes to a connection of its own, and returns the status of the answer.
func (b *battle) raw(text string) int {
	b.t.Helper()
	c := b.dial()
	defer func() { _ = c.Close() }()
	go func() { _, _ = io.WriteString(c, text) }() // the gateway may stop to read
	return b.status(c)
}

// status is that of the only answer on a connection, which has to end unless it was a GET that net/http took.
func (b *battle) status(c net.Conn) int {
	b.t.Helper()
	rsp, err := http.ReadResponse(bufio.NewReader(c), nil)
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		b.t.Error("neither an answer nor an end")
		return -1
	case err != nil:
		return closed
	}
	_ = rsp.Body.Close()
	return rsp.StatusCode
}

// chunked sends a cart of n pieces.
func (b *battle) chunked(piece string, n int) int {
	b.t.Helper()
	c := b.dial()
	defer func() { _ = c.Close() }()
	go func() {
		_, err := io.WriteString(c, "POST /v1/carts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
		for i := 0; i < n && err == nil; i++ {
			_, err = fmt.Fprintf(c, "%x\r\n%s\r\n", len(piece), piece)
		}
	}()
	return b.status(c)
}

// framed begins HTTP/2 in the clear.
func (b *battle) framed() (net.Conn, *http2.Framer) {
	b.t.Helper()
	c := b.dial()
	_, err := io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	if err == nil {
		err = f.WriteSettings()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return c, f
}

func request(path string) []byte {
	var out bytes.Buffer
	e := hpack.NewEncoder(&out)
	for _, h := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", path}} {
		_ = e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}) // into memory
	}
	return out.Bytes()
}

// rapidReset opens streams and resets each at once (CVE-2023-44487). No more of them may be in the service than one connection may have.
func rapidReset(b *battle) int {
	c, f := b.framed()
	defer func() { _ = c.Close() }()
	b.most.Store(0)
	headers := request("/v1/products/by-handle/wait")
	go func() {
		for i := range uint32(5000) {
			err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: headers, EndStream: true, EndHeaders: true})
			if err == nil {
				err = f.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
			}
			if err != nil {
				return
			}
		}
		_ = f.WritePing(false, [8]byte{1})
	}()
	status := b.frames(f, func(fr http2.Frame) bool {
		p, ok := fr.(*http2.PingFrame)
		return ok && p.IsAck()
	})
	if most := b.most.Load(); most > 250 {
		b.t.Errorf("%d calls were in the service at once", most)
	}
	b.eventually("rid of the calls that were reset", func() bool { return b.inside.Load() == 0 })
	return status
}

// endlessHeaders never ends a header block (CVE-2023-45288).
func endlessHeaders(b *battle) int {
	c, f := b.framed()
	defer func() { _ = c.Close() }()
	go func() {
		err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: request("/"), EndStream: true})
		var more bytes.Buffer
		_ = hpack.NewEncoder(&more).WriteField(hpack.HeaderField{Name: "x-padding", Value: strings.Repeat("~", 8000)})
		for i := 0; i < 5000 && err == nil; i++ {
			err = f.WriteContinuation(1, false, more.Bytes())
		}
	}()
	return b.frames(f, func(http2.Frame) bool { return false })
}

// frames reads until what is looked for has come, 200, or the connection ends.
func (b *battle) frames(f *http2.Framer, found func(http2.Frame) bool) int {
	b.t.Helper()
	for {
		fr, err := f.ReadFrame()
		var late net.Error
		switch {
		case errors.As(err, &late) && late.Timeout():
			b.t.Error("neither an answer nor an end")
			return -1
		case err != nil:
			return closed
		case fr.Header().Type == http2.FrameGoAway:
			return closed
		case found(fr):
			return http.StatusOK
		}
	}
}
