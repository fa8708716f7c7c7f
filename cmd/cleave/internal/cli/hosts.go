package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/topology"
)

// mainHost is what `up` calls its host.
const mainHost = "main"

// hostName is the one that was given, or one that says what the host does.
func hostName(s settings, what serving) string {
	if s.Host != "" {
		return s.Host
	}
	if what.gateway {
		return mainHost
	}
	var names []string
	for _, m := range what.modules {
		names = append(names, m.Name)
	}
	name := strings.Join(names, "+")
	if topology.ValidHost(name) {
		return name
	}
	return fmt.Sprintf("%s+%d", names[0], len(names)-1)
}

// topologyFile is where rules are kept without Consul: every process of this machine with this data sees them.
func topologyFile(s settings) string { return filepath.Join(s.Data.Dir, "topology.json") }

// topologyStore opens the store of the rules: Consul's, when that is the registry, else a file beside the data.
func topologyStore(s settings, log *slog.Logger) (topology.Store, error) {
	if s.Registry != registryConsul {
		return topology.NewFile(topologyFile(s), time.Now), nil
	}
	c, err := consulClient(s)
	if err != nil {
		return nil, err
	}
	return topology.NewConsul(c, topology.DefaultPrefix, time.Now, log), nil
}

// rulesWait is how long a process waits for the first rules; then it starts without, and takes them when they come.
const rulesWait = 3 * time.Second

// topology follows the rules until the parts are closed.
func (p *parts) topology(ctx context.Context, s settings, log *slog.Logger) (*topology.Table, error) {
	store, err := topologyStore(s, log)
	if err != nil {
		return nil, err
	}
	table := topology.NewTable(log)
	follow, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = table.Follow(follow, store, func() { close(ready) }) // it ends with follow
	}()
	p.add(func() error {
		cancel()
		<-ended
		return nil
	})
	wait := time.NewTimer(rulesWait)
	defer wait.Stop()
	select {
	case <-ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-wait.C:
		log.WarnContext(ctx, "the topology can't be read; starting without, and taking it when it comes")
	}
	return table, nil
}

// running is what a host with a broker inside writes down of itself beside its data, so that another process of this machine can join it.
type running struct {
	Host   string `json:"host"`
	PID    int    `json:"pid"`
	Broker string `json:"broker"` // its address
}

func noteFile(s settings, name string) string {
	return filepath.Join(s.Data.Dir, "hosts", name+".json")
}

// note writes down that this host runs and has a broker, until the parts are closed.
func (p *parts) note(s settings, name, brokerAt string) error {
	if s.Broker != embedded {
		return nil
	}
	r := running{Host: name, PID: os.Getpid(), Broker: brokerAt}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := noteFile(s, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("note that this host runs: %w", err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("note that this host runs: %w", err)
	}
	p.add(func() error {
		if now, err := readNote(path); err == nil && now.PID == r.PID { // not another process's of the same name
			return os.Remove(path)
		}
		return nil
	})
	return nil
}

func readNote(path string) (running, error) {
	var r running
	b, err := os.ReadFile(path) //nolint:gosec // in the folder of the data
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	return r, err
}

// embeddedBroker finds the broker inside a host that runs on the same data.
func embeddedBroker(s settings) (string, error) {
	files, err := filepath.Glob(noteFile(s, "*"))
	if err != nil {
		return "", err
	}
	for _, f := range files {
		r, err := readNote(f)
		if err == nil && syscall.Kill(r.PID, 0) == nil {
			return r.Broker, nil
		}
	}
	return "", usagef("no host with an embedded broker runs on the data in %s\nSay where that of the running host is with --data-dir, or which broker it has with --broker", s.Data.Dir)
}

// errLeft ends a host that has nothing left to run.
var errLeft = errors.New("every module runs elsewhere")

const (
	leaveEvery = 250 * time.Millisecond
	leaveAfter = 8 // times in a row that nothing ran
)

// left returns errLeft when the host has had no module for a while: it has let go what it had, or the move that started it was taken back.
func left(ctx context.Context, h *host.Host) error {
	tick := time.NewTicker(leaveEvery)
	defer tick.Stop()
	empty := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if len(h.Addresses()) > 0 {
			empty = 0
		} else if empty++; empty >= leaveAfter {
			return errLeft
		}
	}
}

func ignoreLeft(err error) error {
	if errors.Is(err, errLeft) {
		return nil
	}
	return err
}

// portFile remembers where the embedded broker listened, so that hosts which were extracted find it again after a restart of the one that it is in.
func portFile(s settings) string { return filepath.Join(s.Data.Dir, "nats.port") }

// lastPort is where the embedded broker listened the last time; 0 when that isn't known, or taken by now.
func lastPort(s settings) int {
	b, err := os.ReadFile(portFile(s))
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || port < 1 || port > 65535 {
		return 0
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) //nolint:noctx // it is closed at once
	if err != nil {
		return 0
	}
	if l.Close() != nil {
		return 0
	}
	return port
}

func keepPort(s settings, at string) error {
	u, err := url.Parse(at)
	if err != nil {
		return fmt.Errorf("the embedded broker's address: %w", err)
	}
	if err := os.WriteFile(portFile(s), []byte(u.Port()+"\n"), 0o600); err != nil {
		return fmt.Errorf("remember the embedded broker's port: %w", err)
	}
	return nil
}
