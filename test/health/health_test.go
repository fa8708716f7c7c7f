// Package health takes away what a module depends on, and asks everybody who has an opinion whether the module is well.
package health

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/discovery/discoverytest"
	"github.com/cleavehq/cleave/chassis/events"
	"github.com/cleavehq/cleave/test/harness"
)

var binary harness.Bin //nolint:gochecknoglobals // built once for the package, TestMain removes it

func TestMain(m *testing.M) {
	code := m.Run()
	binary.Remove()
	os.Exit(code)
}

// A module loses its broker, and stays in; it loses its database, and isn't ready. The gRPC health service and Consul agree at each step, by the
// default and when a module without its database is to leave.
func TestDependenciesGoAway(t *testing.T) {
	for _, leave := range []bool{false, true} {
		t.Run(fmt.Sprintf("leave=%t", leave), func(t *testing.T) { goAway(t, leave) })
	}
}

func goAway(t *testing.T, leave bool) {
	broker := startBroker(t)
	way, url := datatest.Through(t, datatest.PostgresURL(t, "catalog"))
	m := &module{consul: harness.StartConsul(t)}
	m.flags = []string{"--registry", "consul", "--consul-addr", m.consul.Addr}
	m.process = harness.Start(t, []string{"CLEAVE_HEALTH_LEAVE=" + strconv.FormatBool(leave)}, binary.Build(t), slices.Concat([]string{
		"run", "--modules", "catalog", "--data-url", url, "--broker", broker.url,
	}, m.flags)...)
	well := opinion{ready: "ok", code: http.StatusOK, grpc: "SERVING", consul: "passing"}
	m.becomes(t, "all is well", well)
	m.answers(t, 0)

	broker.Shutdown()
	degraded := opinion{ready: "degraded", code: http.StatusOK, down: "broker", grpc: "SERVING", consul: "passing"}
	m.becomes(t, "without a broker it is degraded, and in", degraded)
	m.answers(t, 0)

	away := opinion{ready: "down", code: http.StatusServiceUnavailable, down: "broker,database", grpc: "SERVING", consul: "passing"}
	exit := 5 // it is called, and UNAVAILABLE
	if leave {
		away.grpc, away.consul = "NOT_SERVING", "critical"
		exit = 3 // there is nobody to call
	}
	way.Cut(true)
	m.becomes(t, "without its database it isn't ready", away)
	m.answers(t, exit)

	way.Cut(false)
	m.becomes(t, "with its database it is in again", degraded)
	m.answers(t, 0)
	broker.start(t)
	m.becomes(t, "all is well again", well)
	m.answers(t, 0)
}

// broker is a NATS server outside of the shop.
type broker struct {
	*events.Embedded
	conf events.EmbeddedConfig
	url  string
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{conf: events.EmbeddedConfig{Dir: t.TempDir(), Port: discoverytest.FreePorts(t, 1)[0]}}
	b.start(t)
	t.Cleanup(func() { b.Shutdown() })
	return b
}

func (b *broker) start(t *testing.T) {
	t.Helper()
	e, err := events.StartEmbedded(b.conf)
	if err != nil {
		t.Fatal(err)
	}
	b.Embedded, b.url = e, e.URL()
}

// module is the catalogue in a process of its own.
type module struct {
	consul  *harness.Consul
	process *harness.Process
	flags   []string
}

// opinion is what everybody says of it.
type opinion struct {
	ready  string // the status on the page of its own listener
	code   int    // of that page
	down   string // dependencies that are down
	grpc   string // status by the gRPC health service
	consul string // of the check
}

// becomes waits until everybody has the opinion.
func (m *module) becomes(t *testing.T, what string, want opinion) {
	t.Helper()
	var last opinion
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: want %+v, the last one was %+v", what, want, last)
		}
	})
	took := harness.Eventually(t, time.Minute, what, func() bool {
		if m.process.Exited() {
			t.Fatalf("the process ended:\n%s", m.process.Output())
		}
		last = m.asked(t)
		return last == want
	})
	t.Logf("%s: after %v", what, took.Round(time.Millisecond))
}

func (m *module) asked(t *testing.T) (o opinion) {
	t.Helper()
	var all []struct {
		Service struct {
			Address string
			Port    int
			Meta    map[string]string
		}
		Checks []struct{ CheckID, Status string }
	}
	if m.consul.Get("/v1/health/service/catalog", &all) != nil || len(all) != 1 {
		return o
	}
	for _, c := range all[0].Checks {
		if strings.HasPrefix(c.CheckID, "check:") {
			o.consul = c.Status
		}
	}
	conn, err := grpc.NewClient(net.JoinHostPort(all[0].Service.Address, strconv.Itoa(all[0].Service.Port)), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	said, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	o.grpc = said.GetStatus().String()
	if err != nil {
		o.grpc = err.Error()
	}
	rsp, err := http.Get("http://" + all[0].Service.Meta["admin"] + "/healthz/ready")
	if err != nil {
		return o
	}
	defer func() { _ = rsp.Body.Close() }()
	var page struct {
		Status       string
		Dependencies []struct {
			Name string
			Up   bool
		}
	}
	if err := json.NewDecoder(rsp.Body).Decode(&page); err != nil {
		t.Fatal(err)
	}
	o.ready, o.code = page.Status, rsp.StatusCode
	var down []string
	for _, d := range page.Dependencies {
		if !d.Up {
			down = append(down, d.Name)
		}
	}
	o.down = strings.Join(down, ",")
	return o
}

// answers calls it as anybody would, through the registry.
func (m *module) answers(t *testing.T, exit int) {
	t.Helper()
	p := harness.Start(t, nil, binary.Build(t), slices.Concat([]string{"call", "catalog", "Catalog.ListProducts", `{"page_size":1}`}, m.flags)...)
	if code := p.Wait(time.Minute); code != exit {
		t.Errorf("call: exit code %d, want %d:\n%s", code, exit, p.Output())
	}
}
