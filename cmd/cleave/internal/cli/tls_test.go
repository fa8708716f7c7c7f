package cli

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestACertificateIsReadAgain(t *testing.T) {
	made := httptest.NewTLSServer(http.NotFoundHandler()) // has one
	pair := made.TLS.Certificates[0]
	made.Close()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(path, kind string, b []byte) {
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := serverTLS("", "", ""); c != nil || err != nil {
		t.Errorf("none: %v %v", c, err)
	}
	if _, err := serverTLS(cert, key, ""); err == nil {
		t.Error("files that aren't there")
	}
	write(cert, "CERTIFICATE", pair.Certificate[0])
	write(key, "PRIVATE KEY", der)
	c := &certificate{cert: cert, key: key}
	now := time.Now()
	first, err := c.get(now)
	if err != nil || !bytes.Equal(first.Certificate[0], pair.Certificate[0]) {
		t.Fatal(err)
	}
	get := func() *tls.Certificate {
		now = now.Add(time.Minute)
		got, err := c.get(now)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if get() != first {
		t.Error("read again, and it is the same")
	}
	later := now.Add(time.Hour)
	write(cert, "CERTIFICATE", []byte("nonsense"))
	if err := os.Chtimes(cert, later, later); err != nil {
		t.Fatal(err)
	}
	if get() != first {
		t.Error("nonsense was taken")
	}
	write(cert, "CERTIFICATE", pair.Certificate[0])
	later = later.Add(time.Hour)
	if err := os.Chtimes(cert, later, later); err != nil {
		t.Fatal(err)
	}
	if get() == first {
		t.Error("a new one was not read")
	}
}
