package harness

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// StartSecureConsul is StartClosedConsul with consul/agent-tls.hcl: TLS on the HTTP and gRPC ports, which are the only ones, and gossip with a key.
// CA is the file of the authority that cleave has to be told.
func StartSecureConsul(t testing.TB) *Consul {
	t.Helper()
	dir := t.TempDir()
	c := &Consul{CA: filepath.Join(dir, "ca.pem"), scheme: "https", client: &http.Client{}}
	pool := authority(t, dir)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	c.client.Transport = transport
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	c.start(t, "", append(closed(t), "-config-file="+settings(t, "agent-tls.hcl"),
		fmt.Sprintf("-hcl=tls { defaults { ca_file = %q cert_file = %q key_file = %q } }", c.CA, filepath.Join(dir, "agent.pem"), filepath.Join(dir, "agent-key.pem")),
		fmt.Sprintf("-hcl=encrypt = %q", base64.StdEncoding.EncodeToString(key)))...)
	return c
}

// authority writes an authority, and the certificate of a server in the data centre dc1, into a folder.
func authority(t testing.TB, dir string) *x509.CertPool {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, kind string, der []byte) {
		t.Helper()
		must(os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	must(err)
	write("ca.pem", "CERTIFICATE", der)
	parsed, err := x509.ParseCertificate(der)
	must(err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server.dc1.consul"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		DNSNames: []string{"server.dc1.consul", "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err = x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, rootKey)
	must(err)
	write("agent.pem", "CERTIFICATE", der)
	der, err = x509.MarshalECPrivateKey(key)
	must(err)
	write("agent-key.pem", "EC PRIVATE KEY", der)
	return pool
}
