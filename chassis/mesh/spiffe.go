package mesh

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ID is a SPIFFE ID as Consul writes it for a service.
type ID struct {
	// TrustDomain is the CA's, lower case.
	TrustDomain string
	Datacenter  string
	// Service is the name in the registry.
	Service string
}

// String is the URI.
func (i ID) String() string {
	return "spiffe://" + i.TrustDomain + "/ns/default/dc/" + i.Datacenter + "/svc/" + i.Service
}

// URL is the URI, for a certificate.
func (i ID) URL() *url.URL {
	return &url.URL{Scheme: "spiffe", Host: i.TrustDomain, Path: "/ns/default/dc/" + i.Datacenter + "/svc/" + i.Service}
}

var errNoService = errors.New("it is no service's SPIFFE ID")

// ParseID reads the ID of a service in the default namespace and partition. All else, such as an agent's or a gateway's, is an error.
func ParseID(u *url.URL) (ID, error) {
	if u.Scheme != "spiffe" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.RawPath != "" || u.Opaque != "" {
		return ID{}, errNoService
	}
	rest, ok := strings.CutPrefix(u.Path, "/ns/default/dc/")
	if !ok {
		return ID{}, errNoService
	}
	dc, service, ok := strings.Cut(rest, "/svc/")
	if !ok || dc == "" || service == "" || strings.Contains(dc, "/") || strings.ContainsAny(service, "/*") {
		return ID{}, errNoService
	}
	return ID{strings.ToLower(u.Host), dc, service}, nil
}

// IDOf is the identity of a certificate: of its one URI, as X.509-SVID has it.
func IDOf(c *x509.Certificate) (ID, error) {
	if len(c.URIs) != 1 {
		return ID{}, fmt.Errorf("the certificate has %d URIs, and needs one", len(c.URIs))
	}
	if c.IsCA {
		return ID{}, errors.New("the certificate is an authority's")
	}
	return ParseID(c.URIs[0])
}
