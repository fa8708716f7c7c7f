package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/api/internal/prototest"
)

const patience = time.Minute

// opened is a stream over HTTP that is read line by line.
type opened struct {
	*http.Response
	lines  *bufio.Reader
	cancel context.CancelFunc
}

func (e *edge) open(path string, headers ...string) *opened {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), patience)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.base+path, http.NoBody)
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rsp, err := e.http.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		cancel()
		_ = rsp.Body.Close()
	})
	return &opened{rsp, bufio.NewReader(rsp.Body), cancel}
}

// until reads to a line that begins so, and returns it.
func (o *opened) until(t *testing.T, begin string) string {
	t.Helper()
	var seen []string
	for {
		line, err := o.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("no %q in %q: %v", begin, seen, err)
		}
		if seen = append(seen, line); strings.HasPrefix(line, begin) {
			return strings.TrimSuffix(line, "\n")
		}
	}
}

func TestServerSentEvents(t *testing.T) {
	e := echoes(t, &parrot{})
	for _, accept := range []string{"text/event-stream", "application/x-ndjson;q=0.5, text/event-stream", "text/event-stream, */*;q=0.1"} {
		a := e.get("/v1/count/ab", "Accept", accept)
		const want = "retry: 2000\n\ndata: \"a\"\n\ndata: \"b\"\n\nevent: end\ndata: {}\n\n"
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "text/event-stream" || a.body != want || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v %q", accept, a.status, a.header, a.body)
		}
	}
	for _, accept := range []string{"", "*/*", "application/*", "application/x-ndjson, text/event-stream;q=0.9"} {
		if a := e.get("/v1/count/ab", "Accept", accept); a.header.Get("Content-Type") != "application/x-ndjson" || a.body != "\"a\"\n\"b\"\n" {
			t.Errorf("%s: %d %v %q", accept, a.status, a.header, a.body)
		}
	}
	if a := e.get("/v1/count/ab", "Accept", "text/html"); a.status != http.StatusNotAcceptable {
		t.Errorf("neither: %d", a.status)
	}
	if a := e.get("/v1/count/refuse", "Accept", "text/event-stream"); a.status != 422 || a.problem(t).Reason != "NOT_TODAY" {
		t.Errorf("refused: %d %s", a.status, a.body)
	}
	a := e.get("/v1/count/a!", "Accept", "text/event-stream")
	_, data, ok := strings.Cut(a.body, "event: problem\ndata: ")
	var p struct {
		Status  int    `json:"status"`
		Reason  string `json:"reason"`
		TraceID string `json:"trace_id"`
	}
	if !ok || json.Unmarshal([]byte(data), &p) != nil || p.Status != 503 || p.Reason != "BROKE" || p.TraceID == "" || strings.Contains(a.body, "event: end") {
		t.Errorf("broken: %q", a.body)
	}
}

// TestHeartbeats: a stream that says nothing shows that it is there, and that it began.
func TestHeartbeats(t *testing.T) {
	p := &parrot{hold: make(chan struct{})}
	e := echoes(t, p, func(c *api.Config) { c.Heartbeat = 20 * time.Millisecond })
	events, lines := e.open("/v1/count/x", "Accept", "text/event-stream"), e.open("/v1/count/x")
	for range 3 {
		events.until(t, ":")
		lines.until(t, "\n")
	}
	close(p.hold)
	events.until(t, `data: "x"`)
	lines.until(t, `"x"`)
}

func TestAClientThatLeavesEndsTheStream(t *testing.T) {
	p := &parrot{hold: make(chan struct{})}
	e := echoes(t, p)
	o := e.open("/v1/count/ab", "Accept", "text/event-stream")
	o.until(t, `data: "a"`)
	o.cancel()
	e.eventually("ended", func() bool { return p.left.Load() == 1 })
	ws := e.dial("/v1/count/ab")
	ws.want(`"a"`)
	_ = ws.conn.CloseNow()
	e.eventually("ended too", func() bool { return p.left.Load() == 2 })
	talk := e.dial("/v1/talk")
	talk.say(`"a"`)
	talk.want(`"<a>"`)
	_ = talk.conn.Close(websocket.StatusNormalClosure, "")
	e.eventually("ended as well", func() bool { return p.left.Load() == 3 })
}

// TestDrain: streams that don't end are told to go, in their own way, and the gateway stops well.
func TestStreamsAreDrained(t *testing.T) {
	p := &parrot{hold: make(chan struct{})}
	e := echoes(t, p, func(c *api.Config) { c.StreamGrace = 10 * time.Millisecond })
	events, lines, ws := e.open("/v1/count/ab", "Accept", "text/event-stream"), e.open("/v1/count/ab"), e.dial("/v1/talk")
	events.until(t, `data: "a"`)
	lines.until(t, `"a"`)
	ws.say(`"a"`)
	ws.want(`"<a>"`)
	stopped := make(chan error, 1)
	go func() { stopped <- e.stop() }()
	events.until(t, "retry: ")
	events.until(t, "event: drain")
	if data := events.until(t, "data: "); !strings.Contains(data, `"DRAINING"`) {
		t.Error(data)
	}
	if line := lines.until(t, `{"drain":`); !strings.Contains(line, `"DRAINING"`) {
		t.Error(line)
	}
	if _, err := io.ReadAll(lines.lines); err != nil {
		t.Errorf("the end of the lines: %v", err)
	}
	ws.wantClose(websocket.StatusGoingAway)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestTooManyStreams(t *testing.T) {
	p := &parrot{hold: make(chan struct{})}
	e := echoes(t, p, func(c *api.Config) { c.MaxStreams, c.MaxInFlight = 1, 1 })
	first := e.open("/v1/count/ab")
	first.until(t, `"a"`)
	if a := e.get("/v1/count/ab"); a.status != http.StatusServiceUnavailable || a.problem(t).Reason != "TOO_MANY_STREAMS" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := e.json("POST", "/test.v1.Echo/Say", `"x"`); a.status != http.StatusOK || a.body != `"x"` {
		t.Errorf("a unary call beside it: %d %s", a.status, a.body)
	}
	close(p.hold)
	first.until(t, `"b"`)
	e.eventually("free again", func() bool { return e.get("/v1/count/ab").status == http.StatusOK })
}

// socket is a WebSocket of a client.
type socket struct {
	t    *testing.T
	conn *websocket.Conn
	ctx  context.Context
}

func (e *edge) dial(path string, headers ...string) *socket {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	e.t.Cleanup(cancel)
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	c, rsp, err := websocket.Dial(ctx, e.base+path, &websocket.DialOptions{HTTPHeader: h, HTTPClient: &http.Client{Transport: e.http.Transport}})
	if err != nil {
		e.t.Fatalf("dial %s: %v (%v)", path, err, rsp)
	}
	c.SetReadLimit(1 << 20)
	e.t.Cleanup(func() { _ = c.CloseNow() })
	return &socket{e.t, c, ctx}
}

func (s *socket) say(message string) {
	s.t.Helper()
	if err := s.conn.Write(s.ctx, websocket.MessageText, []byte(message)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) next() string {
	s.t.Helper()
	_, b, err := s.conn.Read(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

func (s *socket) want(message string) {
	s.t.Helper()
	if got := s.next(); got != message {
		s.t.Fatalf("got %s, want %s", got, message)
	}
}

func (s *socket) wantClose(code websocket.StatusCode) {
	s.t.Helper()
	_, b, err := s.conn.Read(s.ctx)
	if websocket.CloseStatus(err) != code {
		s.t.Errorf("got %s %v, want close %d", b, err, code)
	}
}

func TestWebSocket(t *testing.T) {
	e := echoes(t, &parrot{}, func(c *api.Config) { c.Heartbeat = 5 * time.Millisecond })
	for _, path := range []string{"/v1/talk", "/test.v1.Echo/Talk", "/parrot/Echo.Talk"} {
		s := e.dial(path)
		for _, m := range []string{"a", "b", "c"} {
			s.say(`"` + m + `"`)
			s.want(`"<` + m + `>"`)
		}
		s.say("")
		s.wantClose(websocket.StatusNormalClosure)
	}
	s := e.dial("/v1/gather")
	s.say(`"a"`)
	s.say(`"b"`)
	s.say("")
	s.want(`"a+b"`)
	s.wantClose(websocket.StatusNormalClosure)
	s = e.dial("/v1/count/ab")
	s.want(`"a"`)
	s.want(`"b"`)
	s.wantClose(websocket.StatusNormalClosure)
	for _, path := range []string{"/v1/count", "/test.v1.Echo/Count"} { // the request is the first message
		s = e.dial(path)
		s.say(`"x"`)
		s.want(`"x"`)
		s.wantClose(websocket.StatusNormalClosure)
	}
}

func TestAWebSocketThatFails(t *testing.T) {
	e := echoes(t, &parrot{}, func(c *api.Config) { c.MaxBody = 1000 })
	for _, tc := range []struct {
		path, say, reason string
		code              websocket.StatusCode
	}{
		{"/v1/talk", `"refuse"`, "NOT_TODAY", websocket.StatusPolicyViolation},
		{"/v1/talk", `{`, "BAD_JSON", websocket.StatusPolicyViolation},
		{"/test.v1.Echo/Count", `"!"`, "BROKE", websocket.StatusInternalError},
	} {
		s := e.dial(tc.path)
		s.say(tc.say)
		var frame struct {
			Error struct{ Reason string }
		}
		if got := s.next(); json.Unmarshal([]byte(got), &frame) != nil || frame.Error.Reason != tc.reason {
			t.Errorf("%s %s: %s", tc.path, tc.say, got)
		}
		s.wantClose(tc.code)
	}
	s := e.dial("/v1/talk")
	s.say(`"` + strings.Repeat("x", 2000) + `"`)
	s.wantClose(websocket.StatusMessageTooBig)
	s = e.dial("/v1/talk")
	if err := s.conn.Write(s.ctx, websocket.MessageBinary, []byte(`"a"`)); err != nil {
		t.Fatal(err)
	}
	s.wantClose(websocket.StatusUnsupportedData)

	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	if a := e.get("/v1/talk"); a.status != http.StatusUpgradeRequired || a.header.Get("Upgrade") != "websocket" {
		t.Errorf("no upgrade: %d %v", a.status, a.header)
	}
	if a := e.get("/v1/talk", append(upgrade, "Origin", "https://elsewhere.example")...); a.status != http.StatusForbidden || a.problem(t).Reason != "ORIGIN_NOT_ALLOWED" {
		t.Errorf("another origin: %d %s", a.status, a.body)
	}
	if a := e.get("/test.v1.Echo/Say", upgrade...); a.status != http.StatusBadRequest || a.problem(t).Reason != "NO_STREAM" {
		t.Errorf("no stream: %d %s", a.status, a.body)
	}
	if a := e.get("/v1/count/a?colour=red", upgrade...); a.status != http.StatusBadRequest {
		t.Errorf("a parameter that isn't one: %d %s", a.status, a.body)
	}
	s = e.dial("/v1/talk", "Origin", e.base)
	s.say(`"a"`)
	s.want(`"<a>"`)
}

// Feed is a stream that can be resumed: it counts from where its client was.
type Feed struct {
	file protoreflect.FileDescriptor
	from atomic.Int64
}

func (f *Feed) Follow(_ context.Context, s server.Stream) error {
	fd := f.file.Services().Get(0).Methods().Get(0)
	in := dynamicpb.NewMessage(fd.Input())
	if err := s.Recv(in); err != nil {
		return err
	}
	last := in.Get(fd.Input().Fields().ByName("last_event_id")).Int()
	f.from.Store(last)
	for i := last + 1; i <= 3; i++ {
		out := dynamicpb.NewMessage(fd.Output())
		out.Set(fd.Output().Fields().ByName("event_id"), protoreflect.ValueOfInt64(i))
		if err := s.Send(out); err != nil {
			return err
		}
	}
	return nil
}

func TestResume(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	f := &Feed{file: feedContract(t)}
	serve(t, reg, "feed", "1", f.file, func(s server.Server) error { return s.Handle(s.NewHandler(f)) })
	e := start(t, reg)
	e.eventually("routed", func() bool { return e.get("/v1/feed").status == http.StatusOK })
	sse := []string{"Accept", "text/event-stream"}
	a := e.get("/v1/feed", sse...)
	if strings.Count(a.body, "\nid: ") != 3 || !strings.Contains(a.body, "id: 3\ndata: {\"eventId\":\"3\"}\n\n") {
		t.Errorf("%q", a.body)
	}
	for path, from := range map[string]int64{"/v1/feed": 2, "/v1/feed?last_event_id=1": 2, "/v1/feed?lastEventId=1": 2} {
		if a := e.get(path, append(sse, "Last-Event-ID", "2")...); strings.Count(a.body, "\nid: ") != 1 || f.from.Load() != from {
			t.Errorf("%s: from %d: %q", path, f.from.Load(), a.body)
		}
	}
	if a := e.get("/v1/feed?last_event_id=1"); strings.Count(a.body, "\n") != 2 {
		t.Errorf("by parameter: %q", a.body)
	}
	if a := e.get("/v1/feed", append(sse, "Last-Event-ID", "x")...); a.status != http.StatusBadRequest {
		t.Errorf("nonsense: %d", a.status)
	}
}

func feedContract(t *testing.T) protoreflect.FileDescriptor {
	return prototest.New(t).Message("Start", "int64 last_event_id").Message("Event", "int64 event_id").
		Service("Feed", `Follow Start stream:Event [google.api.http]{get:"/v1/feed"}`).Build()
}
