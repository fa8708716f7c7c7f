package cli

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// consulSecure says that Consul's ports speak TLS.
func consulSecure(s settings) bool {
	return s.Consul.CA != "" || strings.HasPrefix(s.Consul.Addr, "https://")
}

// consulURL is where Consul's HTTP API is, for people.
func consulURL(s settings) string {
	scheme := "http://"
	if consulSecure(s) {
		scheme = "https://"
	}
	_, host, found := strings.Cut(s.Consul.Addr, "://")
	if !found {
		host = s.Consul.Addr
	}
	return scheme + host
}

// consulConfig is how Consul is reached.
func consulConfig(s settings) (*api.Config, error) {
	conf := api.DefaultConfig()
	if conf.TLSConfig.InsecureSkipVerify {
		return nil, usagef("%s is false: Consul is never believed unseen; name its authority with --consul-ca", api.HTTPSSLVerifyEnvName)
	}
	conf.Scheme = "http" // unless the address or an authority says otherwise
	conf.Address, conf.Token = s.Consul.Addr, s.Consul.Token
	conf.TLSConfig.CAFile, conf.TLSConfig.CertFile, conf.TLSConfig.KeyFile = s.Consul.CA, s.Consul.Cert, s.Consul.Key
	if consulSecure(s) {
		conf.Address = consulURL(s)
	}
	c, err := api.NewHttpClient(conf.Transport, conf.TLSConfig)
	if err != nil {
		return nil, usagef("Consul's TLS: %w", err)
	}
	c.Transport = persistent{c.Transport}
	conf.HttpClient = c
	return conf, nil
}

// consulTLS is how Consul's gRPC port is reached; nil in the clear.
func consulTLS(s settings) (*tls.Config, error) {
	if !consulSecure(s) {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	conf, err := consulConfig(s)
	if err != nil {
		return nil, err
	}
	t, err := api.SetupTLSConfig(&conf.TLSConfig)
	if err != nil {
		return nil, usagef("Consul's TLS: %w", err)
	}
	return t, nil
}

func consulClient(s settings) (*api.Client, error) {
	conf, err := consulConfig(s)
	if err != nil {
		return nil, err
	}
	c, err := api.NewClient(conf)
	if err != nil {
		return nil, usagef("Consul at %s: %w", s.Consul.Addr, err)
	}
	return c, nil
}

const (
	busyWait  = storeWait // how long a request waits for an agent that has too many, in all
	busyLeast = 50 * time.Millisecond
	busyMax   = time.Second
)

// persistent sends a request again that Consul's agent has refused because it has too many (429): it did nothing with it. It waits longer each time, until
// the request's context or busyWait ends; then the last answer is the answer.
type persistent struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (p persistent) RoundTrip(req *http.Request) (*http.Response, error) {
	end := time.Now().Add(busyWait)
	for wait := busyLeast; ; wait = min(2*wait, busyMax) {
		rsp, err := p.RoundTripper.RoundTrip(req)
		if err != nil || rsp.StatusCode != http.StatusTooManyRequests || req.Body != nil && req.GetBody == nil {
			return rsp, err
		}
		pause := wait/2 + rand.N(wait) //nolint:gosec // so that many don't come at once, not a secret
		if time.Now().Add(pause).After(end) {
			return rsp, nil
		}
		t := time.NewTimer(pause)
		select {
		case <-req.Context().Done():
			t.Stop()
			return rsp, nil
		case <-t.C:
		}
		_ = rsp.Body.Close()
		if req.Body == nil {
			continue
		}
		req = req.Clone(req.Context())
		if req.Body, err = req.GetBody(); err != nil {
			return nil, fmt.Errorf("send it again: %w", err)
		}
	}
}

// CloseIdleConnections lets go of connections that nobody uses.
func (p persistent) CloseIdleConnections() {
	if c, ok := p.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
