package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/cmd/cleave/internal/move"
)

// starter starts a host, and returns what receives when it ends.
type starter = func(context.Context) (<-chan error, error)

func (a *app) extract() *cobra.Command {
	var to, tokenFile string
	var manual bool
	c := &cobra.Command{
		Use: "extract MODULE", Short: "Take a module out of its host, while it runs, into a process of its own", GroupID: "move",
		Args: exactly(cobra.ExactArgs(1)),
		Long: `extract starts a new host for a module, waits until it is in the registry and answers, and moves the calls there by steps, watching how
the new host does. When it does worse than the old one, or Ctrl-C is pressed, everything is as it was before. At the end the old host
finishes what it does for the module and lets it go. No call fails, and no data moves: both use the module's database.

Run it with the settings that the running host has: registry, data, broker (one that is inside a host on the same data is found). The
new process goes on when this command ends; its output is in DATA/hosts/HOST.log. A move that was killed can be run again.`,
		Example:           "  cleave extract order\n  cleave extract order --registry consul --data-url-file database --broker nats://127.0.0.1:4222\n  cleave extract order --to orders --manual    # the operator starts host orders",
		ValidArgsFunction: a.completeModules,
		RunE: func(c *cobra.Command, args []string) error {
			return a.move(c, args[0], cmp.Or(to, args[0]), func(s settings, name string) starter {
				if manual {
					return nil
				}
				return func(context.Context) (<-chan error, error) { return a.spawn(s, args[0], name, tokenFile) }
			})
		},
	}
	c.Flags().StringVar(&to, "to", "", "name of the new host; default the module's")
	c.Flags().BoolVar(&manual, "manual", false, "start nothing: the host is there, or someone else starts it")
	c.Flags().StringVar(&tokenFile, "host-token-file", "", "file that holds the new host's Consul token; default, with --mesh, what `cleave mesh bootstrap` has left for the module under --data-dir; else this command's")
	moveFlags(c)
	return c
}

func (a *app) absorb() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use: "absorb MODULE", Short: "Take a module back into a host, while it runs", GroupID: "move", Args: exactly(cobra.ExactArgs(1)),
		Long: `absorb is extract's inverse: the host that the module comes back to starts it, the calls move there by steps, and the host that had it lets
it go. A process that extract started ends when it has no module left.`,
		Example:           "  cleave absorb order\n  cleave absorb order --to main --registry consul",
		ValidArgsFunction: a.completeModules,
		RunE: func(c *cobra.Command, args []string) error {
			return a.move(c, args[0], to, func(settings, string) starter { return nil })
		},
	}
	c.Flags().StringVar(&to, "to", mainHost, "host that the module comes back to; it runs already")
	moveFlags(c)
	return c
}

func moveFlags(c *cobra.Command) {
	f := c.Flags()
	f.IntSlice("steps", []int{1, 10, 50, 100}, "parts of the calls, in percent, that move one after the other")
	f.Duration("hold", time.Second, "how long each step is watched")
	f.Duration("within", time.Minute, "how long the new host may take to come, and the old one to go")
	d := defaults()
	f.String("broker", embedded, "the hosts' broker; embedded: the one inside a host on the same data")
	f.String("data-dir", d.Data.Dir, "folder of the hosts' SQLite files")
	f.String("data-url", "", "the hosts' PostgreSQL")
	f.String("data-url-file", "", "file that holds the URL")
}

// move runs a move. start returns what starts the new host, or nil.
func (a *app) move(c *cobra.Command, module, to string, start func(settings, string) starter) (err error) {
	if _, err := a.choose([]string{module}); err != nil {
		return usagef("there is no module %q", module)
	}
	se, err := a.session(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, se.Close()) }()
	store, err := topologyStore(se.s, se.log)
	if err != nil {
		return err
	}
	steps, _ := c.Flags().GetIntSlice("steps") // the flags are there
	hold, _ := c.Flags().GetDuration("hold")
	within, _ := c.Flags().GetDuration("within")
	begin := time.Now()
	err = move.Run(c.Context(), move.Config{
		Store: store, Registry: se.reg, Module: module, To: to, Author: author(), Steps: steps, Hold: hold, Within: within,
		Start: start(se.s, to), Stats: se.stats,
		Say: func(format string, args ...any) { _, _ = fmt.Fprintf(a.env.Stderr, format+"\n", args...) },
	})
	if errors.Is(err, move.ErrNowhere) {
		return problem.Unavailable(rpc.ReasonNotInRegistry, "no instance of %s is in the registry", module)
	}
	if err != nil {
		return errors.New(err.Error()) // whole: the code of a call within is not that of the move
	}
	if se.s.Output == "json" {
		return a.json(map[string]any{"module": module, "host": to, "seconds": time.Since(begin).Seconds()})
	}
	_, err = fmt.Fprintf(a.env.Stdout, "%s runs on %s (%.1f s)\n", module, to, time.Since(begin).Seconds())
	return err
}

// author is who changes the topology, for its history.
func author() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// spawn starts a host with one module as a process that outlives this one. Its settings go by the environment, which nobody else can read.
func (a *app) spawn(s settings, module, name, tokenFile string) (<-chan error, error) {
	token, err := hostToken(s, module, tokenFile)
	if err != nil {
		return nil, err
	}
	if s.Broker == embedded {
		if s.Broker, err = embeddedBroker(s); err != nil {
			return nil, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(s.Data.Dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "hosts", name+".log")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // in the folder of the data
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()                               // the new process has it
	cmd := exec.Command(self, "run", "--modules", module, "--leave") //nolint:gosec,noctx // itself; and it is to go on when ctx ends
	cmd.Env = slices.DeleteFunc(os.Environ(), func(s string) bool {  // by file, where what is in it is given below
		return strings.HasPrefix(s, "CLEAVE_CONSUL_TOKEN_FILE=") || strings.HasPrefix(s, "CLEAVE_DATA_URL_FILE=")
	})
	cmd.Env = append(cmd.Env,
		"CLEAVE_HOST="+name, "CLEAVE_REGISTRY="+s.Registry, "CLEAVE_CONSUL_ADDR="+s.Consul.Addr, "CLEAVE_CONSUL_TOKEN="+token,
		"CLEAVE_MDNS_DOMAIN="+s.MDNS.Domain, "CLEAVE_BROKER="+s.Broker, "CLEAVE_DATA_DIR="+dir, "CLEAVE_DATA_URL="+s.Data.URL,
		"CLEAVE_CONSUL_CA="+s.Consul.CA, "CLEAVE_CONSUL_CERT="+s.Consul.Cert, "CLEAVE_CONSUL_KEY="+s.Consul.Key, "CLEAVE_CONSUL_GRPC="+s.Consul.GRPC, "CLEAVE_MESH="+strconv.FormatBool(s.Mesh),
	)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	pid := cmd.Process.Pid
	_, _ = fmt.Fprintf(a.env.Stderr, "  process %d, its output is in %s\n", pid, path)
	ended := make(chan error, 1)
	go func() { ended <- fmt.Errorf("%w\n%s", cmp.Or(cmd.Wait(), errLeft), tailOf(path)) }()
	return ended, nil
}

// tailOf is the end of a file, for an error.
func tailOf(path string) string {
	b, err := os.ReadFile(path) //nolint:gosec // written by the process that was started
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err.Error()
	}
	return string(b[max(0, len(b)-1000):])
}

func (a *app) completeModules(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.moduleNames(), cobra.ShellCompDirectiveNoFileComp
}
