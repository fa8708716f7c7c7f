package api_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"go-micro.dev/v4/client"
	microerrors "go-micro.dev/v4/errors"
	"go-micro.dev/v4/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/kv"
)

func encoded(t *testing.T, s string) string {
	b, err := proto.Marshal(wrapperspb.String(s))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestTwirp is a client by hand, as version 7 of the specification describes it.
func TestTwirp(t *testing.T) {
	e := echoes(t, &parrot{})
	const path = "/twirp/test.v1.Echo/"
	if a := e.json("POST", path+"Say", `"hello"`); a.status != http.StatusOK || a.body != `"hello"` || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("JSON: %d %v %s", a.status, a.header, a.body)
	}
	if a := e.send("POST", path+"Say", encoded(t, "hello"), "Content-Type", "application/protobuf"); a.body != encoded(t, "hello") ||
		a.header.Get("Content-Type") != "application/protobuf" {
		t.Errorf("protobuf: %d %v %q", a.status, a.header, a.body)
	}
	for _, tc := range []struct {
		method, path, body, media string
		status                    int
		code                      string
	}{
		{"POST", path + "Say", `"refuse"`, "application/json", 412, "failed_precondition"},
		{"POST", path + "Say", `"secret"`, "application/json", 500, "internal"},
		{"POST", path + "Say", `{`, "application/json", 400, "malformed"},
		{"POST", path + "Say", "\xff", "application/protobuf", 400, "malformed"},
		{"POST", path + "Say", `"x"`, "text/plain", 404, "bad_route"},
		{"GET", path + "Say", "", "application/json", 404, "bad_route"},
		{"POST", path + "Nothing", `"x"`, "application/json", 404, "bad_route"},
		{"POST", path + "Count", `"x"`, "application/json", 501, "unimplemented"},
	} {
		a := e.send(tc.method, tc.path, tc.body, "Content-Type", tc.media)
		var got struct {
			Code, Msg string
			Meta      map[string]string
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != tc.status || got.Code != tc.code || got.Msg == "" || got.Meta["reason"] == "" {
			t.Errorf("%v: %d %s", tc, a.status, a.body)
		}
		if a.header.Get("Content-Type") != "application/json" || strings.Contains(a.body, "hunter2") {
			t.Errorf("%v: %v %s", tc, a.header, a.body)
		}
		if tc.code == "failed_precondition" && (got.Meta["reason"] != "NOT_TODAY" || got.Meta["field.value"] != "is refused") {
			t.Errorf("meta %v", got.Meta)
		}
	}
}

// TestMicroPaths are the paths that go-micro's api takes.
func TestMicroPaths(t *testing.T) {
	p := &parrot{}
	e := echoes(t, p)
	for _, path := range []string{"/parrot/Echo.Say", "/parrot/Echo/Say", "/parrot.Echo/Say"} {
		if a := e.json("POST", path, `"hello"`); a.status != http.StatusOK || a.body != `"hello"` {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		if a := e.send("POST", path, encoded(t, "x"), "Content-Type", "application/protobuf"); a.body != encoded(t, "x") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := e.get("/parrot/Echo.Read?value=hello"); a.status != http.StatusOK || a.body != `"hello"` {
		t.Errorf("a GET: %d %s", a.status, a.body)
	}
	if a := e.get("/parrot/Echo.Say?value=hello"); a.status != http.StatusNotImplemented {
		t.Errorf("a GET that may have effects: %d %s", a.status, a.body)
	}
	a := e.json("POST", "/parrot/Echo.Say", `"refuse"`)
	if me := microerrors.Parse(a.body); a.status != 422 || me.Id != "parrot" || me.Code != 422 || me.Status != "NOT_TODAY" || me.Detail != "100 % no: ü" {
		t.Errorf("an error: %d %s", a.status, a.body)
	}
	if a := e.json("POST", "/parrot/Echo.Count", `"x"`); a.status != http.StatusNotImplemented {
		t.Errorf("a stream: %d %s", a.status, a.body)
	}
	if a := e.json("POST", "/parrot/Echo.Nothing", `"x"`); a.status != http.StatusNotFound || a.problem(t).Reason != "ROUTE_NOT_FOUND" {
		t.Errorf("nothing: %d %s", a.status, a.body)
	}
}

// TestStockMicroClient is go-micro's own client, which takes the gateway for the service.
func TestStockMicroClient(t *testing.T) {
	p := &parrot{}
	e := echoes(t, p)
	c := client.NewClient(client.Retries(0), client.ContentType("application/protobuf"))
	call := func(endpoint, say string) (string, error) {
		out := &text{}
		ctx := metadata.NewContext(t.Context(), metadata.Metadata{"X-Shop-User": "forged"})
		err := c.Call(ctx, c.NewRequest("parrot", endpoint, wrapperspb.String(say)), out, client.WithAddress(strings.TrimPrefix(e.base, "http://")))
		return out.GetValue(), err
	}
	if got, err := call("Echo.Say", "hello"); err != nil || got != "hello" {
		t.Fatalf("%q %v", got, err)
	}
	if md := *p.seen.Load(); md["X-Shop-User"] != "" || md["X-Request-Id"] == "" {
		t.Errorf("upstream %v", md)
	}
	_, err := call("Echo.Say", "refuse")
	if me := microerrors.FromError(err); me.Code != 422 || me.Status != "NOT_TODAY" {
		t.Errorf("refused: %v", err)
	}
	_, err = call("Echo.Nothing", "x")
	if me := microerrors.FromError(err); me.Code != 501 {
		t.Errorf("nothing: %v", err)
	}
}

// TestGRPCWebText is what a browser sends that can't send bytes: base64, padded wherever a frame ends.
func TestGRPCWebText(t *testing.T) {
	e := echoes(t, &parrot{})
	msg := encoded(t, "hello")
	head := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(msg)))
	body := base64.StdEncoding.EncodeToString(head) + base64.StdEncoding.EncodeToString([]byte(msg))
	a := e.send("POST", "/test.v1.Echo/Say", body, "Content-Type", "application/grpc-web-text", "X-Grpc-Web", "1")
	var all []byte
	for rest := a.body; rest != ""; rest = rest[4:] {
		b, err := base64.StdEncoding.DecodeString(rest[:4])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	want := append(append(head, msg...), 0x80)
	if !bytes.HasPrefix(all, want) || !bytes.Contains(all, []byte("grpc-status: 0\r\n")) || a.header.Get("Content-Type") != "application/grpc-web-text" {
		t.Errorf("%v %q", a.header, all)
	}
	a = e.send("POST", "/test.v1.Echo/Say", "!!!!", "Content-Type", "application/grpc-web-text")
	if a.status != http.StatusOK || a.body == "" {
		t.Errorf("not base64: %d %q", a.status, a.body)
	}
}

// TestConnectByHand is what curl sends.
func TestConnectByHand(t *testing.T) {
	e := echoes(t, &parrot{}, func(c *api.Config) { c.MaxBody = 1000 })
	const say, read = "/test.v1.Echo/Say", "/test.v1.Echo/Read"
	if a := e.json("POST", say, `"hello"`); a.status != http.StatusOK || a.body != `"hello"` || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := e.get(read + `?connect=v1&encoding=json&message=%22hello%22`); a.status != http.StatusOK || a.body != `"hello"` {
		t.Errorf("GET: %d %s", a.status, a.body)
	}
	b64 := base64.RawURLEncoding.EncodeToString([]byte(encoded(t, "hello")))
	if a := e.get(read + `?connect=v1&encoding=proto&base64=1&message=` + b64); a.status != http.StatusOK || a.body != encoded(t, "hello") {
		t.Errorf("GET of bytes: %d %s", a.status, a.body)
	}
	bomb := &bytes.Buffer{}
	zip(t, bomb, bytes.Repeat([]byte(" "), 1<<20))
	for _, tc := range []struct {
		method, path, body string
		header             []string
		status             int
		code               string
	}{
		{"POST", say, `"refuse"`, nil, 400, "failed_precondition"},
		{"POST", say, `{`, nil, 400, "invalid_argument"},
		{"POST", say, `"x"`, []string{"Content-Type", "application/xml"}, 415, "invalid_argument"},
		{"POST", say, `"x"`, []string{"Content-Encoding", "br"}, 415, "unimplemented"},
		{"POST", say, `"x"`, []string{"Content-Encoding", "gzip"}, 400, "invalid_argument"},
		{"POST", say, bomb.String(), []string{"Content-Encoding", "gzip"}, 429, "resource_exhausted"},
		{"POST", say, `"` + strings.Repeat("x", 2000) + `"`, nil, 429, "resource_exhausted"},
		{"POST", say, `"x"`, []string{"Connect-Protocol-Version", "2"}, 400, "invalid_argument"},
		{"POST", say, `"x"`, []string{"Connect-Timeout-Ms", "soon"}, 400, "invalid_argument"},
		{"POST", say, `"wait"`, []string{"Connect-Timeout-Ms", "20"}, 504, "deadline_exceeded"},
		{"GET", say + `?connect=v1&encoding=json&message=%22x%22`, "", nil, 405, "unimplemented"},
		{"DELETE", say, "", nil, 405, "unimplemented"},
		{"POST", "/test.v1.Echo/Count", `"x"`, nil, 501, "unimplemented"},
	} {
		h := tc.header
		if len(h) == 0 || h[0] != "Content-Type" {
			h = append([]string{"Content-Type", "application/json"}, h...)
		}
		a := e.send(tc.method, tc.path, tc.body, h...)
		var got struct{ Code, Message string }
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != tc.status || got.Code != tc.code || got.Message == "" {
			t.Errorf("%s %s %v: %d %s", tc.method, tc.path, tc.header, a.status, a.body)
		}
	}
	if a := e.send("POST", say, "", "Content-Type", "application/grpc"); a.header.Get("Grpc-Status") != "12" {
		t.Errorf("gRPC over HTTP/1.1: %d %v", a.status, a.header)
	}
	if a := e.json("POST", "/test.v1.Echo/Nothing", "{}"); a.status != http.StatusNotFound {
		t.Errorf("nothing: %d", a.status)
	}
}

// TestOnlyWhatAContractOffers: a method that isn't exposed can't be called by its name either.
func TestOnlyWhatAContractOffers(t *testing.T) {
	e := echoes(t, &parrot{}, func(c *api.Config) {
		open := []byte(`{"expose": true, "public": true}`)
		c.Overrides = kv.Static{"test.v1.Echo/Count": open, "test.v1.Echo/Talk": open}
	})
	e.eventually("routed", func() bool { return e.get("/v1/count/a").status == http.StatusOK })
	for path, status := range map[string]int{"/test.v1.Echo/Say": 404, "/twirp/test.v1.Echo/Say": 404, "/parrot/Echo.Say": 404} {
		if a := e.json("POST", path, `"x"`); a.status != status {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	s := e.dial("/test.v1.Echo/Talk") // is exposed
	s.say(`"a"`)
	s.want(`"<a>"`)
}

func zip(t *testing.T, to *bytes.Buffer, b []byte) {
	z := gzip.NewWriter(to)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}
