package acceptance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cleavehq/cleave/chassis/schema"
	"github.com/cleavehq/cleave/test/harness"
)

// Every module has to speak gRPC as the rest of the world expects it, and to look in Consul as an operator does.
func TestEveryModuleSpeaksStandardGRPC(t *testing.T) {
	s := harness.Distributed(t, binary.Build(t), harness.StartConsul(t))
	without := 0
	for _, m := range harness.Modules() {
		if !t.Run(m, func(t *testing.T) { standard(t, s, m) }) {
			without++
		}
	}
	harness.Figure(t, "modules_without_standard_grpc", float64(without), 0, "modules")
}

func standard(t *testing.T, s *harness.System, module string) {
	instances := s.Consul.Instances(module)
	if len(instances) != 1 {
		t.Fatalf("%d instances pass", len(instances))
	}
	i := instances[0]
	address := net.JoinHostPort(i.Service.Address, strconv.Itoa(i.Service.Port))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()

	contract, err := schema.Fetch(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	if len(contract.Services) != 1 ||
		!strings.HasPrefix(string(contract.Services[0].FullName()), "shop."+module+".v1.") {
		t.Errorf("reflection lists %v", contract.Services)
	}
	for _, name := range []string{"", string(contract.Services[0].FullName())} {
		if err := serving(ctx, address, name); err != nil {
			t.Error(err)
		}
	}
	// The agent's own view: the catalogue of services gets a check's output minutes later, when nothing else changes.
	harness.Eventually(t, 10*time.Second, "Consul's gRPC check passes", func() bool {
		var checks map[string]struct{ Type, Status, Output, ServiceID string }
		if s.Consul.Get("/v1/agent/checks", &checks) != nil {
			return false
		}
		for _, c := range checks {
			if c.ServiceID == i.Service.ID && c.Type == "grpc" && c.Status == "passing" && strings.Contains(c.Output, "success") {
				return true
			}
		}
		return false
	})
	for _, key := range []string{"version", "module", "host", "schema", "protocol", "started"} {
		if i.Service.Meta[key] == "" {
			t.Errorf("the metadata lacks %s: %v", key, i.Service.Meta)
		}
	}
	if !slices.Contains(i.Service.Tags, "module") {
		t.Errorf("the tags are %q", i.Service.Tags)
	}
	for _, tag := range i.Service.Tags {
		if len(tag) > 40 {
			t.Errorf("the tag %q is not for people", tag)
		}
	}
}

// serving asks the standard health service.
func serving(ctx context.Context, address, service string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	rsp, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service})
	if err == nil && rsp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		err = fmt.Errorf("health of %q is %v", service, rsp.GetStatus())
	}
	return errors.Join(err, conn.Close())
}
