// Package compress chooses how an answer is encoded (RFC 9110, 12.5.3), and encodes it: zstd (RFC 8878) or gzip (RFC 1952), at their fastest levels,
// with encoders that are used again.
package compress

import (
	"bytes"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Coding is a content coding; Identity is none.
type Coding string

// The codings.
const (
	Identity Coding = ""
	Gzip     Coding = "gzip"
	Zstd     Coding = "zstd"
)

// From is how many bytes are worth it.
const From = 1 << 10

// Choose returns which of the codings, the one that is rather taken first, an Accept-Encoding header wants most. What it doesn't name is taken by
// "*" alone, and with q=0 not at all. A header that can't be read, or none, wants Identity.
func Choose(header string, codings ...Coding) Coding {
	if header == "" {
		return Identity
	}
	best, most := Identity, 0.0
	for _, c := range codings {
		if q := quality(header, string(c)); q > most {
			best, most = c, q
		}
	}
	return best
}

// quality is how much a header wants a coding, from 0 to 1.
func quality(header, coding string) float64 {
	others := 0.0 // what "*" says
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		name = strings.TrimSpace(name)
		switch {
		case strings.EqualFold(name, coding), coding == string(Gzip) && strings.EqualFold(name, "x-gzip"):
			return weight(params)
		case name == "*":
			others = weight(params)
		}
	}
	return others
}

// weight reads "q=0.5"; what isn't one is 1 when it isn't there, and 0 when it is wrong.
func weight(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(strings.TrimSpace(k), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}

// Encoder encodes whole answers. The zero value is fit for use; it is safe for concurrent use.
type Encoder struct {
	gzips sync.Pool
	once  sync.Once
	zstd  *zstd.Encoder
}

// Encode returns b in a coding, and whether it is: not when that isn't shorter.
func (e *Encoder) Encode(c Coding, b []byte) ([]byte, bool) {
	var out []byte
	switch c {
	case Gzip:
		out = e.gzip(b)
	case Zstd:
		out = e.zstandard(b)
	default:
		return b, false
	}
	if out == nil || len(out) >= len(b) {
		return b, false
	}
	return out, true
}

func (e *Encoder) gzip(b []byte) []byte {
	z, ok := e.gzips.Get().(*gzip.Writer)
	if !ok {
		var err error
		if z, err = gzip.NewWriterLevel(nil, gzip.BestSpeed); err != nil { // the level is one
			return nil
		}
	}
	var out bytes.Buffer
	out.Grow(len(b)/3 + 64)
	z.Reset(&out)
	_, _ = z.Write(b) // a buffer takes all
	_ = z.Close()
	z.Reset(nil)
	e.gzips.Put(z)
	return out.Bytes()
}

// zstandard uses one encoder, which keeps as many states as there are processors. Its window is far below the 8 MiB that browsers take (RFC 9659).
func (e *Encoder) zstandard(b []byte) []byte {
	e.once.Do(func() {
		e.zstd, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20)) // the options are right
	})
	if e.zstd == nil {
		return nil
	}
	return e.zstd.EncodeAll(b, make([]byte, 0, len(b)/3+64))
}
