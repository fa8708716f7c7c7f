package api_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// wireAttacks are those on HTTP's own framing, and on the time of a connection.
func wireAttacks() []attack {
	post := func(headers, body string) func(*battle) int {
		return func(b *battle) int {
			return b.raw("POST /v1/carts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + headers + "\r\n" + body)
		}
	}
	// What follows in the same bytes must not be served: whoever is in front of the gateway may have taken it for a part of the body.
	smuggled := func(version, headers, body string) func(*battle) int {
		return func(b *battle) int {
			b.seen.Store(nil)
			c := b.dial()
			defer func() { _ = c.Close() }()
			go func() {
				_, _ = io.WriteString(c, "POST /v1/carts "+version+"\r\nHost: x\r\nContent-Type: application/json\r\n"+headers+"\r\n"+body+
					"GET "+publicGet+" HTTP/1.1\r\nHost: x\r\n\r\n")
			}()
			r := bufio.NewReader(c)
			rsp, err := http.ReadResponse(r, nil)
			if err != nil {
				return closed
			}
			defer func() { _ = rsp.Body.Close() }()
			_, err = io.Copy(io.Discard, rsp.Body)
			var late net.Error
			if _, more := r.ReadByte(); more == nil || errors.As(more, &late) && late.Timeout() { // the connection has to end
				b.t.Errorf("after the answer comes another, or nothing: %v, %v", more, err)
			}
			if b.seen.Load() != nil {
				b.t.Error("the request that was smuggled in was served")
			}
			return rsp.StatusCode
		}
	}
	const chunked = "2\r\n{}\r\n0\r\n\r\n"
	return []attack{
		{"smuggling: Content-Length and chunked: what follows is not served", smuggled("HTTP/1.1", "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", chunked), []int{200}},
		{"smuggling: two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{} "), []int{400}},
		{"smuggling: a length with a sign", post("Content-Length: +2\r\n", "{}"), []int{400}},
		{"smuggling: chunked, in disguise", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), []int{501}},
		{"smuggling: chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), []int{501}},
		{"smuggling: a chunk of a wrong length", post("Transfer-Encoding: chunked\r\n", "-1\r\n{}\r\n0\r\n\r\n"), []int{400}},
		{"smuggling: a space before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), []int{400}},
		{"smuggling: chunked, folded: what follows is not served", smuggled("HTTP/1.1", "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", chunked), []int{200}},
		{"smuggling: chunked over HTTP/1.0: what follows is not served", smuggled("HTTP/1.0", "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n", chunked), []int{400}},
		{"slow headers", func(b *battle) int { return b.raw("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ") }, []int{closed}},
		{"slow body", post("Content-Length: 100\r\n", "{"), []int{408}},
		{"a connection that says nothing", func(b *battle) int { return b.raw("") }, []int{closed}},
		{"HTTP/2 rapid reset, 5,000 streams: at most 250 are served at once", rapidReset, []int{closed, 200}},
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
	const patient = 10 // are let reach the service, so that it is known that they can
	go func() {
		for i := range uint32(patient) {
			if f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: headers, EndStream: true, EndHeaders: true}) != nil {
				return
			}
		}
		b.eventually("in the service", func() bool { return b.inside.Load() == patient })
		for i := range uint32(patient) {
			if f.WriteRSTStream(2*i+1, http2.ErrCodeCancel) != nil {
				return
			}
		}
		for i := uint32(patient); i < 5000; i++ {
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
	if most := b.most.Load(); most > 250 || most < patient {
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
