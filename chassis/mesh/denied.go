package mesh

import (
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleavehq/cleave/chassis/problem"
)

// The reasons of mesh_denied_total.
const (
	reasonNoTLS       = "no_tls"       // it speaks in the clear
	reasonNoIdentity  = "no_identity"  // it shows no certificate
	reasonExpired     = "expired"      // its certificate has expired, or isn't valid yet
	reasonUntrusted   = "untrusted"    // nobody whom we trust has signed its certificate
	reasonTrustDomain = "trust_domain" // its certificate is another trust domain's
	reasonBadIdentity = "bad_identity" // its certificate has no service's SPIFFE ID
	reasonNoIntention = "no_intention" // no intention allows its call
)

// unknown is a source that has proved nothing. What it claims to be is in the log only: who invents names must not make metrics.
const unknown = "unknown"

const (
	logEvery = 10 * time.Second
	maxTold  = 256
	maxClaim = 200 // bytes of a name that nobody has proved
)

// ReasonDenied is that of the error of a call that was refused.
const ReasonDenied = "MESH_DENIED"

// denied counts and logs who was refused.
type denied struct {
	log      *slog.Logger
	now      func() time.Time
	total    *prometheus.CounterVec
	renewals *prometheus.CounterVec
	expiry   *prometheus.GaugeVec

	mu   sync.Mutex
	told map[kind]*telling
}

type kind struct{ reason, source, destination string }

type telling struct {
	last   time.Time
	silent int // refusals since
}

func newDenied(c Config) (*denied, error) {
	d := &denied{log: c.Log, now: time.Now, told: map[kind]*telling{}}
	d.total = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mesh_denied_total", Help: "Calls and connections that were refused, by reason, by who made them, if it was proved, and to whom.",
	}, []string{"reason", "source", "destination"})
	d.renewals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mesh_certificates_total", Help: "Certificates that a service has got.",
	}, []string{"service"})
	d.expiry = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "mesh_certificate_expiry_timestamp_seconds", Help: "When a service's certificate expires, Unix time.",
	}, []string{"service"})
	if c.Metrics == nil {
		return d, nil
	}
	for _, m := range []prometheus.Collector{d.total, d.renewals, d.expiry} {
		if err := c.Metrics.Register(m); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *denied) rotated(service string, until time.Time) {
	d.renewals.WithLabelValues(service).Inc()
	d.expiry.WithLabelValues(service).Set(float64(until.Unix()))
}

// call refuses a call.
func (d *denied) call(reason, source, destination, method string) error {
	d.total.WithLabelValues(reason, source, destination).Inc()
	if n, ok := d.tell(kind{reason, source, destination}); ok {
		d.log.Warn("a call was refused", "reason", reason, "source", source, "destination", destination, "method", method, "more", n)
	}
	if reason == reasonNoIntention {
		return problem.PermissionDenied(ReasonDenied, "no intention allows %s to call %s", source, destination)
	}
	return problem.PermissionDenied(ReasonDenied, "who calls %s has to show who it is (%s)", destination, reason)
}

// connection tells that one was refused.
func (d *denied) connection(reason, destination string, from net.Addr, claims string, err error) {
	d.total.WithLabelValues(reason, unknown, destination).Inc()
	if n, ok := d.tell(kind{reason, unknown, destination}); ok {
		d.log.Warn("a connection was refused", "reason", reason, "destination", destination, "from", from, "claims", claims, "error", err, "more", n)
	}
}

// tell says whether a refusal is to be logged, and how many of its kind were not since the last that was.
func (d *denied) tell(k kind) (silent int, ok bool) {
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.told) >= maxTold && d.told[k] == nil {
		k = kind{}
	}
	t := d.told[k]
	if t == nil {
		t = &telling{}
		d.told[k] = t
	}
	if now.Sub(t.last) < logEvery {
		t.silent++
		return 0, false
	}
	silent, t.silent, t.last = t.silent, 0, now
	return silent, true
}
