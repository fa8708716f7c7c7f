package compress

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestChoose(t *testing.T) {
	for header, want := range map[string]Coding{
		"": Identity, "gzip": Gzip, "zstd": Zstd, "gzip, deflate, br, zstd": Zstd, "gzip;q=1, zstd;q=0.9": Gzip, "GZIP": Gzip, "x-gzip": Gzip,
		"gzip;q=0": Identity, "gzip;q=0.000, zstd;q=0": Identity, "*": Zstd, "*;q=0.5, gzip": Gzip, "*;q=0": Identity, "zstd;q=0, *": Gzip,
		"identity": Identity, "br": Identity, "gzip;q=2": Identity, "gzip;q=x": Identity, "gzip;q=NaN": Identity, "gzip ; Q = 0.5": Gzip, "gzip;level=9": Gzip,
		"gzipped": Identity, ",,gzip,": Gzip, ";q=1": Identity,
	} {
		if got := Choose(header, Zstd, Gzip); got != want {
			t.Errorf("%q chose %q, want %q", header, got, want)
		}
	}
	if got := Choose("zstd, gzip;q=0.1", Gzip); got != Gzip {
		t.Errorf("without zstd: %q", got)
	}
	if n := testing.AllocsPerRun(100, func() { Choose("gzip, deflate, br, zstd;q=0.5", Zstd, Gzip) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

func TestEncodeIsUndone(t *testing.T) {
	text := []byte(strings.Repeat("a thing that is said again, ", 500))
	noise := make([]byte, 5000)
	_, _ = rand.Read(noise)
	var e Encoder
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if out, ok := e.Encode(Gzip, text); !ok || len(out) > len(text)/10 {
					t.Error("gzip", ok, len(out))
				} else if z, err := gzip.NewReader(bytes.NewReader(out)); err != nil {
					t.Error(err)
				} else if back, err := io.ReadAll(z); err != nil || !bytes.Equal(back, text) {
					t.Error("gzip lost something", err)
				}
				if out, ok := e.Encode(Zstd, text); !ok || len(out) > len(text)/10 {
					t.Error("zstd", ok, len(out))
				} else if z, err := zstd.NewReader(bytes.NewReader(out)); err != nil {
					t.Error(err)
				} else if back, err := io.ReadAll(z); err != nil || !bytes.Equal(back, text) {
					t.Error("zstd lost something", err)
				} else {
					z.Close()
				}
				for _, c := range []Coding{Gzip, Zstd, Identity, "br"} {
					if out, ok := e.Encode(c, noise); ok || !bytes.Equal(out, noise) {
						t.Errorf("%s made noise longer", c)
					}
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkEncode(b *testing.B) {
	text := []byte(strings.Repeat(`{"id":"0192f5a0","title":"A thing","price":{"currency":"EUR","minor":"1999"}},`, 200))
	for _, c := range []Coding{Gzip, Zstd} {
		b.Run(string(c), func(b *testing.B) {
			var e Encoder
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				e.Encode(c, text)
			}
		})
	}
}
