package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// Client speaks to a gateway as an outsider does.
type Client struct {
	Base string
	// Key is the API key that goes with each request that has no credential of its own; empty for a guest.
	Key  string
	http *http.Client
}

// NewClient makes a client of the gateway at addr, host:port.
func NewClient(addr string) *Client {
	return &Client{Base: "http://" + addr, http: &http.Client{
		Timeout:   20 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}}
}

// Guest is the same without a key.
func (c *Client) Guest() *Client { return &Client{Base: c.Base, http: c.http} }

// Do sends a request, with body as JSON unless it is nil, and decodes the answer into out unless that is nil. It returns the status,
// and an error when no answer came or the answer can't be decoded.
func (c *Client) Do(ctx context.Context, method, path string, body, out any) (int, error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, in)
	if err != nil {
		return 0, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.Send(req, out)
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
	if err != nil || out == nil {
		return rsp.StatusCode, err
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = b
		return rsp.StatusCode, nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return rsp.StatusCode, fmt.Errorf("%s %s: status %d, not JSON: %.200s", req.Method, req.URL.Path, rsp.StatusCode, b)
	}
	return rsp.StatusCode, nil
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
