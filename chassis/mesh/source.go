package mesh

import (
	"context"
	"crypto/tls"
	"crypto/x509"
)

// Source is where identities and intentions come from. Each method follows one thing: it tells fn what it is now, and then each change, until
// ctx ends, and returns ctx's error. While the source is away nothing is told, and what was told last holds. fn returns soon.
type Source interface {
	// Leaf follows the certificate of a service, its chain behind it, and its key.
	Leaf(ctx context.Context, service string, fn func(tls.Certificate)) error
	// Roots follows whom to trust.
	Roots(ctx context.Context, fn func(Roots)) error
	// Intentions follows who may call whom: those at least that are about services of this process as the ones that are called.
	Intentions(ctx context.Context, fn func(Intentions)) error
}

// Roots is whom to trust.
type Roots struct {
	// TrustDomain that identities have to be of.
	TrustDomain string
	// Certs are the authorities, those of a rotation that is under way among them.
	Certs []*x509.Certificate
}
