// Package acceptance tells every story under every topology, with real processes.
package acceptance

import (
	"os"
	"testing"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/test/harness"
)

var binary harness.Bin //nolint:gochecknoglobals // built once for the package, TestMain removes it

func TestMain(m *testing.M) {
	code := m.Run()
	binary.Remove()
	os.Exit(code)
}

func topologies() map[string]func(t *testing.T) *harness.System {
	return map[string]func(t *testing.T) *harness.System{
		"one process, embedded": func(t *testing.T) *harness.System {
			return harness.OneProcess(t, binary.Build(t), nil)
		},
		"one process, every call over the wire": func(t *testing.T) *harness.System {
			return harness.OneProcess(t, binary.Build(t), nil, "--direct=false")
		},
		"one process, every call over the wire, and the first answer to every command lost": withLostAnswers,
		"half of the calls on other hosts: in the middle of three extractions":              halfWay,
		"one process, Consul": func(t *testing.T) *harness.System {
			return harness.OneProcess(t, binary.Build(t), harness.StartConsul(t))
		},
		"one process, PostgreSQL and RabbitMQ": func(t *testing.T) *harness.System {
			return harness.OneProcess(t, binary.Build(t), nil, "--data-url", datatest.PostgresURL(t, harness.Modules()...),
				"--broker", harness.Env("CLEAVE_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/"))
		},
		"one process per module": func(t *testing.T) *harness.System {
			return harness.Distributed(t, binary.Build(t), harness.StartConsul(t))
		},
	}
}

func TestAVisitorBuysSomething(t *testing.T) {
	told := 0
	for name, start := range topologies() {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			harness.Story(t, s.Client)
			harness.After(t, s.Client)
			if !t.Failed() {
				told++
			}
		})
	}
	harness.Figure(t, "topologies_without_the_story", float64(len(topologies())-told), 0, "topologies")
}
