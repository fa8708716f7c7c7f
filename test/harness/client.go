package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Client speaks to a gateway as an outsider does.
type Client struct {
	Base string
	// Insist makes Do send a command again, under the same Idempotency-Key, when a failpoint has lost its answer, or the shop asks for that.
	Insist bool
	// Insisted counts what was sent again.
	Insisted *atomic.Int64
	// Key is the API key that goes with each request that has no credential of its own; empty for a guest.
	Key string
	// Seen hears of every answer; nil for nobody.
	Seen func(req *http.Request, status int, header http.Header, body []byte)
	http *http.Client
}

// NewClient makes a client of the gateway at addr, host:port.
func NewClient(addr string) *Client {
	return &Client{Base: "http://" + addr, Insisted: &atomic.Int64{}, http: &http.Client{
		Timeout:   20 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}}
}

// Guest is the same without a key.
func (c *Client) Guest() *Client {
	guest := *c
	guest.Key = ""
	return &guest
}

// Do sends a request, with body as JSON unless it is nil, and decodes the answer into out unless that is nil. It returns the status,
// and an error when no answer came or the answer can't be decoded.
func (c *Client) Do(ctx context.Context, method, path string, body, out any) (int, error) {
	var in []byte
	if body != nil {
		var err error
		if in, err = json.Marshal(body); err != nil {
			return 0, err
		}
	}
	key := uuid.NewString()
	for try := 0; ; try++ {
		req, err := http.NewRequestWithContext(ctx, method, c.Base+path, bytes.NewReader(in))
		if err != nil {
			return 0, err
		}
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		if !c.Insist {
			return c.Send(req, out)
		}
		if method != http.MethodGet {
			req.Header.Set("Idempotency-Key", key)
		}
		var raw []byte
		status, err := c.Send(req, &raw)
		if err == nil && status == http.StatusServiceUnavailable && try < maxInsist && unclear(raw) {
			c.Insisted.Add(1)
			select {
			case <-ctx.Done():
				return status, ctx.Err()
			case <-time.After(insistAfter):
			}
			continue
		}
		if err == nil {
			err = decode(req, status, raw, out)
		}
		return status, err
	}
}

// maxInsist is how often a command is sent again: a checkout has several steps, each of which may lose its answer.
const (
	maxInsist   = 100
	insistAfter = 100 * time.Millisecond
)

// unclear says that an answer leaves open what came of the command, which may be sent again.
func unclear(raw []byte) bool {
	var p Problem
	return json.Unmarshal(raw, &p) == nil && (p.Reason == "FAULT_INJECTED" || p.Reason == "CHECKOUT_UNFINISHED")
}

// decode puts an answer into out: as it is into a []byte.
func decode(req *http.Request, status int, b []byte, out any) error {
	if out == nil {
		return nil
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = b
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s %s: status %d, not JSON: %.200s", req.Method, req.URL.Path, status, b)
	}
	return nil
}

// Send is Do with a request of the caller's own making.
func (c *Client) Send(req *http.Request, out any) (int, error) {
	if c.Key != "" && req.Header.Get("Authorization") == "" {
		req.Header.Set("X-Api-Key", c.Key)
	}
	rsp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rsp.Body.Close() }()
	b, err := io.ReadAll(rsp.Body)
	if err != nil {
		return rsp.StatusCode, err
	}
	if c.Seen != nil {
		c.Seen(req, rsp.StatusCode, rsp.Header, b)
	}
	return rsp.StatusCode, decode(req, rsp.StatusCode, b, out)
}

// Must is Do for a request that has to succeed.
func (c *Client) Must(t testing.TB, method, path string, body, out any) {
	t.Helper()
	var raw []byte
	status, err := c.Do(t.Context(), method, path, body, &raw)
	if err != nil || status/100 != 2 {
		t.Fatalf("%s %s: status %d, error %v, answer %s", method, path, status, err, raw)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(raw, out); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, raw)
	}
}

// Ready reports whether the gateway says that it is ready and routes path.
func (c *Client) Ready(ctx context.Context, paths ...string) bool {
	for _, p := range append([]string{"/readyz"}, paths...) {
		if status, err := c.Do(ctx, http.MethodGet, p, nil, nil); err != nil || status != http.StatusOK {
			return false
		}
	}
	return true
}
