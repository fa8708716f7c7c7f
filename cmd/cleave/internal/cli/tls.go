package cli

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate is a certificate in files. It is read again when they change, so that it can be renewed while the gateway runs.
type certificate struct {
	cert, key string

	mu     sync.Mutex
	read   time.Time // when the files were written that now is from
	now    *tls.Certificate
	looked time.Time
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = 10 * time.Second

// serverTLS is nil when no certificate is set. Clients may show a certificate of the authorities in the file clientCA, when one is named.
func serverTLS(cert, key, clientCA string) (*tls.Config, error) {
	if cert == "" && key == "" && clientCA == "" {
		return nil, nil //nolint:nilnil // no TLS
	}
	c := &certificate{cert: cert, key: key}
	if _, err := c.get(time.Now()); err != nil {
		return nil, &usageError{err}
	}
	conf := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(time.Now()) },
	}
	if clientCA != "" {
		pem, err := os.ReadFile(clientCA) //nolint:gosec // the operator names it
		if err != nil {
			return nil, usagef("--tls-client-ca: %w", err)
		}
		conf.ClientCAs, conf.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
		if !conf.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, usagef("--tls-client-ca: there is no certificate in %s", clientCA)
		}
	}
	return conf, nil
}

// get returns the certificate. What can't be read leaves the one that was there.
func (c *certificate) get(at time.Time) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now != nil && at.Sub(c.looked) < lookEvery {
		return c.now, nil
	}
	c.looked = at
	written := time.Time{}
	if info, err := os.Stat(c.cert); err == nil {
		written = info.ModTime()
	}
	if c.now != nil && written.Equal(c.read) {
		return c.now, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		if c.now != nil {
			return c.now, nil
		}
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	c.now, c.read = &pair, written
	return c.now, nil
}
