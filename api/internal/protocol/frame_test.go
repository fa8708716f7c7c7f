package protocol

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cleavehq/cleave/chassis/problem"
)

func TestFramesRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, compressFrom, 100_000} {
		for _, compress := range []bool{false, true} {
			in := bytes.Repeat([]byte("x"), size)
			f, err := messageFrame(in, compress)
			if err != nil {
				t.Fatal(err)
			}
			if compress && size >= compressFrom && len(f) > size/2 {
				t.Errorf("%d bytes became %d", size, len(f))
			}
			out, err := readMessage(iotest.OneByteReader(bytes.NewReader(f)), 100_000, compress)
			if err != nil || !bytes.Equal(in, out) {
				t.Errorf("%d bytes, compressed %v: %d bytes, %v", size, compress, len(out), err)
			}
		}
	}
}

func TestBadFrames(t *testing.T) {
	bomb, err := messageFrame(bytes.Repeat([]byte("x"), 1<<20), true)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		in     string
		reason string
	}{
		"half a head":      {"\x00\x00", "BODY_UNREADABLE"},
		"half a payload":   {"\x00\x00\x00\x00\x05ab", "BODY_UNREADABLE"},
		"flags":            {"\x10\x00\x00\x00\x00", "BAD_FRAME"},
		"too large":        {"\x00\xff\xff\xff\xff", "BODY_TOO_LARGE"},
		"not gzip":         {"\x01\x00\x00\x00\x02ab", "BAD_ENCODING"},
		"a bomb":           {string(bomb), "BODY_TOO_LARGE"},
		"compressed, half": {string(bomb[:1]) + "\x00\x00\x00\x14" + string(bomb[5:25]), "BAD_ENCODING"},
	} {
		_, err := readMessage(strings.NewReader(tc.in), 1000, true)
		if p := problem.From(err); p == nil || p.Reason != tc.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := readMessage(strings.NewReader("\x01\x00\x00\x00\x00"), 10, false); problem.From(err).Reason != "BAD_FRAME" {
		t.Errorf("compressed without a header: %v", err)
	}
	if _, err := readMessage(strings.NewReader(""), 10, false); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
}

// FuzzFrames: whatever comes, memory and errors are bounded.
func FuzzFrames(f *testing.F) {
	good, err := messageFrame(bytes.Repeat([]byte("x"), 2000), true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("\x00\x00\x00\x00\x01a\x80"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		for {
			b, err := readMessage(r, 1<<16, true)
			if err != nil {
				var p *problem.Error
				if !errors.Is(err, io.EOF) && (!errors.As(err, &p) || problem.HTTPStatus(p.Code) >= 500) {
					t.Fatalf("%v", err)
				}
				return
			}
			if len(b) > 1<<16 {
				t.Fatal("over the limit")
			}
		}
	})
}

func TestBase64InPieces(t *testing.T) {
	for _, pieces := range [][]string{{"hello"}, {"a", "bc", "def", "ghij"}, {""}, {strings.Repeat("long", 1000), "x"}} {
		var in string
		for _, p := range pieces {
			in += base64.StdEncoding.EncodeToString([]byte(p))
		}
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(in), "byte by byte": iotest.OneByteReader(strings.NewReader(in))} {
			out, err := io.ReadAll(&base64Reader{r: r})
			if err != nil || string(out) != strings.Join(pieces, "") {
				t.Errorf("%q %s: %q %v", pieces, name, out, err)
			}
		}
	}
	for _, in := range []string{"abc", "????"} {
		if _, err := io.ReadAll(&base64Reader{r: strings.NewReader(in)}); err == nil {
			t.Errorf("%q is base64", in)
		}
	}
}

func TestTimeouts(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "1S": time.Second, "100m": 100 * time.Millisecond, "0n": 1, "99999999H": 100 * 365 * 24 * time.Hour, "5M": 5 * time.Minute,
		"1": -1, "S": -1, "1x": -1, "-1S": -1, "123456789S": -1, "1.5S": -1,
	} {
		r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
		r.Header.Set("Grpc-Timeout", text)
		d, err := (&grpcCall{base: base{r: r}}).Timeout()
		if (err != nil) != (want == -1) || err == nil && d != want {
			t.Errorf("%q: %v %v", text, d, err)
		}
	}
}
