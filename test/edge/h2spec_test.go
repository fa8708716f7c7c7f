package edge

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// known are the cases of h2spec that net/http, which speaks HTTP/2 for the gateway, fails by itself, and why. In full each is played against a
// server of net/http alone, too, so that one that is mended there is noticed.
func known() map[string]string {
	return map[string]string{
		"http2/3.5 Sends invalid connection preface":                                                                   "in the clear the port takes it for HTTP/1.1, and says 400",
		"http2/4.2 Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE":                          "it lets frames be 1 MiB, which h2spec's frame doesn't exceed",
		"http2/6.5.3 Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE":                                            "it takes no setting twice, and closes the connection",
		"http2/8.1.2.2 Sends a HEADERS frame that contains the connection-specific header field":                       "it answers 400, and resets no stream",
		"http2/8.1.2.2 Sends a HEADERS frame that contains the TE header field with any value other than \"trailers\"": "it answers 400, and resets no stream",
	}
}

// TestHTTP2Conforms plays h2spec (https://github.com/summerwind/h2spec) against the gateway, over TLS and in the clear.
func TestHTTP2Conforms(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "h2spec")
	if out, err := exec.CommandContext(t.Context(), "go", "-C", "../../tools/h2spec", "build", "-o", bin, "github.com/summerwind/h2spec/cmd/h2spec").CombinedOutput(); err != nil {
		t.Fatalf("build h2spec: %v\n%s", err, out)
	}
	cert, key := certificate(t)
	plain, safe := startGateway(t), startGateway(t, "--tls-cert", cert, "--tls-key", key)
	targets := map[string]target{"h2c": {plain.address, false}, "tls": {safe.address, true}}
	if full() {
		targets["net/http h2c"], targets["net/http tls"] = bare(t, false), bare(t, true)
	}
	found := play(t, bin, targets)
	passed, failed, ours := 0, 0, map[string]bool{}
	for _, name := range []string{"h2c", "tls"} {
		passed += len(found[name].passed)
		for _, f := range found[name].failed {
			_, is := known()[f]
			if !is && passesAgain(t, bin, targets[name], f) {
				t.Logf("%s: %s: passes when it is played again", name, f)
				passed++
				continue
			}
			ours[f] = true
			if why, is := known()[f]; is {
				t.Logf("%s: %s: %s", name, f, why)
				continue
			}
			failed++
			t.Errorf("%s: %s", name, f)
		}
	}
	if full() {
		alone := slices.Concat(found["net/http h2c"].failed, found["net/http tls"].failed)
		for f := range ours {
			if !slices.Contains(alone, f) {
				failed++
				t.Errorf("net/http alone passes: %s", f)
			}
		}
	}
	harness.Figure(t, "h2spec_passed", float64(passed), 1e9, "cases")
	harness.Figure(t, "h2spec_failed", float64(failed), 0, "cases")
}

type target struct {
	address string
	tls     bool
}

// verdict is what h2spec says of a server.
type verdict struct {
	passed, failed []string // "http2/6.5.3 what it does"
}

// passesAgain plays the section of a case three times more, and says whether the case passes more often than not. Some cases send what they are about behind a request that is whole but for its
// end, in a write of its own: a server that answers in between has ended the stream, and has nothing more to say of it.
func passesAgain(t *testing.T, bin string, at target, failed string) bool {
	t.Helper()
	section, _, _ := strings.Cut(failed, " ")
	times := 0
	for range 3 {
		v, err := at.play(t, bin, section)
		if err != nil {
			t.Error(err)
			return false
		}
		if slices.Contains(v.passed, failed) {
			times++
		}
	}
	return times > 1
}

// play runs h2spec against all targets at once.
func play(t *testing.T, bin string, targets map[string]target) map[string]verdict {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	out := map[string]verdict{}
	for name, at := range targets {
		all.Go(func() {
			v, err := at.play(t, bin)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			out[name] = v
		})
	}
	all.Wait()
	return out
}

// play runs h2spec against one server: all sections, or some.
func (at target) play(t *testing.T, bin string, sections ...string) (verdict, error) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.xml")
	host, port, _ := net.SplitHostPort(at.address)
	args := []string{"-h", host, "-p", port, "-P", "/healthz", "-o", "2", "-j", report}
	if at.tls {
		args = append(args, "-t", "-k")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	said, err := exec.CommandContext(ctx, bin, append(args, sections...)...).CombinedOutput() // it exits with 1 when a case fails
	b, readErr := os.ReadFile(report)
	if readErr != nil {
		return verdict{}, fmt.Errorf("%w, %w\n%.2000s", err, readErr, said)
	}
	return judge(b)
}

// judge reads h2spec's report, which is JUnit's.
func judge(report []byte) (v verdict, err error) {
	var doc struct {
		Suites []struct {
			Cases []struct {
				Package string    `xml:"package,attr"`
				Name    string    `xml:"classname,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(report, &doc); err != nil {
		return v, err
	}
	for _, s := range doc.Suites {
		for _, c := range s.Cases {
			switch {
			case c.Failure != nil, c.Error != nil:
				v.failed = append(v.failed, c.Package+" "+c.Name)
			case c.Skipped == nil:
				v.passed = append(v.passed, c.Package+" "+c.Name)
			}
		}
	}
	return v, nil
}

// bare is a server of net/http with nothing of ours.
func bare(t *testing.T, safe bool) target {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Config.Protocols = &http.Protocols{}
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetHTTP2(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	if s.EnableHTTP2 = safe; safe {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return target{s.Listener.Addr().String(), safe}
}

// certificate writes one that httptest has, and its key, to files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	c := s.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", c.Certificate[0]), write("key.pem", "PRIVATE KEY", der)
}
