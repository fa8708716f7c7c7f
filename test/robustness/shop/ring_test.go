package shop

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// ring is three Consul servers that keep their data. Any two of them are enough.
type ring struct {
	t       *testing.T
	servers []*member
}

type member struct {
	*harness.Process
	http, raft string // addresses: of the API, and the one by which the others know it
	args       []string
}

func startRing(t *testing.T) *ring {
	t.Helper()
	bin := os.Getenv("CLEAVE_TEST_CONSUL")
	if bin == "" {
		t.Fatal("CLEAVE_TEST_CONSUL must name a Consul binary; `make prove-shop` builds one and sets it")
	}
	r := &ring{t: t}
	var join []string
	for i := range 3 {
		serf, m := harness.FreeAddr(t), &member{http: harness.FreeAddr(t), raft: harness.FreeAddr(t)}
		join = append(join, "-retry-join="+serf)
		m.args = []string{
			bin, "agent", "-server", "-bootstrap-expect=3", fmt.Sprintf("-node=server-%d", i), "-data-dir=" + t.TempDir(), "-bind=127.0.0.1",
			"-client=127.0.0.1", "-log-level=warn", "-http-port=" + port(t, m.http), "-server-port=" + port(t, m.raft), "-serf-lan-port=" + port(t, serf),
			"-serf-wan-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1", "-dns-port=-1", "-retry-interval=1s", "-disable-host-node-id",
			// As the development agent has it, and as production should: elections in a second or two, and every process of ours from one address.
			"-hcl=performance { raft_multiplier = 1 }", "-hcl=limits { http_max_conns_per_client = 1000 }", "-hcl=disable_update_check = true",
		}
		r.servers = append(r.servers, m)
	}
	for _, m := range r.servers {
		m.args = append(m.args, join...)
		m.Process = harness.Start(t, nil, m.args[0], m.args[1:]...)
	}
	harness.Eventually(t, 60*time.Second, "three Consul servers have a leader", func() bool {
		for _, m := range r.servers {
			if m.leader() == "" {
				return false
			}
		}
		return true
	})
	return r
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// leader is the raft address of the server that this one takes for the leader; "" when it knows none.
func (m *member) leader() (addr string) {
	rsp, err := http.Get("http://" + m.http + "/v1/status/leader")
	if err != nil {
		return ""
	}
	defer func() { _ = rsp.Body.Close() }()
	b, err := io.ReadAll(rsp.Body)
	if err != nil || json.Unmarshal(b, &addr) != nil {
		return ""
	}
	return addr
}

// follower is the API of a server that isn't the leader.
func (r *ring) follower() string {
	for _, m := range r.servers {
		if addr := m.leader(); addr != "" && addr != m.raft {
			return m.http
		}
	}
	r.t.Fatal("three Consul servers have no follower")
	return ""
}

// loseLeader kills the leader, waits until the other two have another one, and starts it again.
func (r *ring) loseLeader(t *testing.T) (elected time.Duration) {
	t.Helper()
	var lost *member
	harness.Eventually(t, 60*time.Second, "the leader of the Consul servers is known", func() bool {
		for _, m := range r.servers {
			if m.leader() == m.raft {
				lost = m
			}
		}
		return lost != nil
	})
	lost.Kill()
	elected = harness.Eventually(t, 60*time.Second, "the other two Consul servers have elected a leader", func() bool {
		for _, m := range r.servers {
			if addr := m.leader(); m != lost && (addr == "" || addr == lost.raft) {
				return false
			}
		}
		return true
	})
	lost.Process = harness.Start(t, nil, lost.args[0], lost.args[1:]...)
	return elected
}
