// Package egress sends requests to servers that strangers name, such as the endpoints of webhooks.
//
// Whoever may name a URL may try to have our own network called: a database, another module, the cloud's metadata server. So a [Client]
// connects to public addresses only, and to those that the operator allows; it looks at the address itself, at the moment of connecting, whatever
// the name said before. It speaks TLS, except to what the operator allows, follows no redirect, uses no proxy, sends no cookie, and
// reads a bounded answer within a bounded time.
package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// Limits of a request.
const (
	// DefaultTimeout is the time for all of a request, from the name to the end of the answer.
	DefaultTimeout = 15 * time.Second
	// MaxURL is the longest URL that is taken, in bytes.
	MaxURL = 2048
	// maxAnswer is how much of an answer is read before the connection is given up.
	maxAnswer = 64 << 10
	// maxRetryAfter is the longest wait that a server may ask for.
	maxRetryAfter = 24 * time.Hour
)

// Config is what a Client may do beyond the public Internet.
type Config struct {
	// Allow are the networks that aren't public and yet may be connected to, also without TLS. Empty for none.
	Allow []netip.Prefix
	// Timeout default is DefaultTimeout.
	Timeout time.Duration
	// UserAgent default is "Cleave".
	UserAgent string
}

// Client sends requests to strangers. It is safe for concurrent use.
type Client struct {
	conf Config
	// https reaches what is public and what is allowed, http what is allowed.
	https, http *http.Client
}

// New makes a Client. Close it.
func New(c Config) *Client {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.UserAgent == "" {
		c.UserAgent = "Cleave"
	}
	return &Client{conf: c, https: newHTTP(newGuard(true, c.Allow)), http: newHTTP(newGuard(false, c.Allow))}
}

func newHTTP(g guard) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: g.control}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:       nil, // a proxy would be the one that connects, where nobody looks
			DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: maxAnswer,
			MaxIdleConns: 100, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close closes connections that are kept for later. Requests that run are not ended.
func (c *Client) Close() {
	c.https.CloseIdleConnections()
	c.http.CloseIdleConnections()
}

// Check says what is wrong with a URL before it is ever called: it has to be https (http where something is allowed that isn't public), with
// a host, and without a user, a fragment or an address that must not be called. A name's addresses are looked at later, by Post.
// The error is for the one who sent the URL.
func (c *Client) Check(text string) error {
	_, _, err := c.parse(text)
	return err
}

func (c *Client) parse(text string) (*url.URL, *http.Client, error) {
	if len(text) > MaxURL {
		return nil, nil, fmt.Errorf("the URL is longer than %d bytes", MaxURL)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, nil, errors.New("it is no URL") // err would show all of it
	}
	by := c.https
	switch {
	case u.Scheme == "http" && len(c.conf.Allow) > 0:
		by = c.http
	case u.Scheme != "https":
		return nil, nil, errors.New("the URL has to begin with https://")
	}
	if u.User != nil || u.Fragment != "" || u.Hostname() == "" || u.Opaque != "" {
		return nil, nil, errors.New("the URL needs a host, and may have neither a user nor a fragment")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := newGuard(u.Scheme == "https", c.conf.Allow).check(a); err != nil {
			return nil, nil, err
		}
	}
	return u, by, nil
}

// Answer is what a server said, without its words.
type Answer struct {
	// Status is the HTTP status, 200 to 599.
	Status int
	// RetryAfter is how long it asks to be left alone; 0 when it doesn't, at most 24 h.
	RetryAfter time.Duration
}

// Post sends body and reads the answer. Any status is an answer, a redirect too. An error means that there was none, or none in time: the
// server may have got the request. It is ErrForbidden when the URL or its address must not be called. Nothing of the URL, the headers or the
// body is in the error.
func (c *Client) Post(ctx context.Context, to string, header map[string]string, body []byte) (Answer, error) {
	u, by, err := c.parse(to)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.conf.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return Answer{}, errors.New("make a request: the URL is not one")
	}
	r.Header.Set("User-Agent", c.conf.UserAgent)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := by.Do(r)
	if err != nil {
		return Answer{}, fmt.Errorf("post: %w", bare(err))
	}
	defer func() { _ = resp.Body.Close() }()
	// Read to its end, a connection can be used again; one that has no end is given up.
	if _, err := io.CopyN(io.Discard, resp.Body, maxAnswer); err != nil && !errors.Is(err, io.EOF) {
		return Answer{}, fmt.Errorf("read the answer: %w", bare(err))
	}
	return Answer{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now())}, nil
}

// bare takes the URL out of an error.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// retryAfter reads the header: seconds, or a moment. https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3
func retryAfter(text string, now time.Time) time.Duration {
	if text == "" {
		return 0
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
