// Package cli is the cleave command. Data goes to stdout, talk to stderr.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/config"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/chassis/verify"
)

// Env is what the command runs in.
type Env struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Modules that can be run.
	Modules []host.Module
	// Laws between the modules, for `cleave verify`.
	Laws []verify.Across
	// Books are what `cleave verify` reads besides the modules' databases.
	Books []Book
	// Now is the modules' clock; time.Now when nil.
	Now func() time.Time
}

// Book is a database that isn't a module's.
type Book struct {
	// Name of the file without its .db, and Dir where it is; empty for the modules' own place.
	Name, Dir string
	Checks    []verify.Check
}

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	ExitUsage       = 2 // the arguments, or the settings, are wrong
	exitUsage       = ExitUsage
	exitNotFound    = 3 // not in the registry
	exitAuth        = 4
	exitUnreachable = 5
	exitDeadline    = 6
)

// Run runs the command and returns its exit code. SIGINT and SIGTERM end it in good order; a second one at once.
func Run(e Env) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal does what it does to any program
	err := run(ctx, e)
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	_, _ = fmt.Fprintln(e.Stderr, "cleave: "+message(err))
	if code == exitUsage {
		_, _ = fmt.Fprintln(e.Stderr, "See cleave help.")
	}
	return code
}

func run(ctx context.Context, e Env) error {
	a := &app{env: e, token: tokenCLI}
	root := a.root()
	root.SetArgs(e.Args)
	root.SetIn(e.Stdin)
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	return root.ExecuteContext(ctx)
}

// usageError is a mistake in the arguments.
type usageError struct{ err error }

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// codedError is an error that knows its exit code.
type codedError struct {
	code int
	err  error
}

func (c *codedError) Error() string { return c.err.Error() }
func (c *codedError) Unwrap() error { return c.err }

func exitCode(err error) int {
	var usage *usageError
	var coded *codedError
	var p *problem.Error
	switch {
	case errors.As(err, &usage), strings.HasPrefix(err.Error(), "unknown command"):
		return exitUsage
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &p):
		return problemCode(p)
	case errors.Is(err, context.DeadlineExceeded):
		return exitDeadline
	}
	return exitFailed
}

func problemCode(p *problem.Error) int {
	switch p.Code {
	case codes.Unavailable:
		if p.Reason == rpc.ReasonNotInRegistry {
			return exitNotFound
		}
		return exitUnreachable
	case codes.Unauthenticated, codes.PermissionDenied:
		return exitAuth
	case codes.DeadlineExceeded:
		return exitDeadline
	default:
		return exitFailed
	}
}

// message is what a person is told: of a problem its code, text and fields.
func message(err error) string {
	var p *problem.Error
	if !errors.As(err, &p) {
		return err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s %s)", p.Message, p.Code, p.Reason)
	for _, f := range p.Fields {
		fmt.Fprintf(&b, "\n  %s: %s", f.Path, f.Message)
	}
	if p.Reason == rpc.ReasonNotInRegistry {
		b.WriteString("\n  `cleave services` lists those that are; --registry says which registry is asked")
	}
	return b.String()
}

// app is one run of the command.
type app struct {
	env Env
	// token names the one of those that bootstrap has left which this command has for its own, when none is given.
	token string
	// lenient makes settings leave out what is wrong in the store.
	lenient bool
	// local makes settings leave the store alone.
	local bool
	// loaded and logs are of what settings read last.
	loaded *config.Loaded[settings]
	logs   logs
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "cleave", Short: "Microservices that begin as one good monolith",
		Long: `cleave runs modules, in one process or in many, and speaks to those that run.

Settings come from flags, from the environment (CLEAVE_REGISTRY for --registry), from a YAML file (--config), from Consul KV under
cleave/config/, and from defaults: the first of these that has one. Exit codes: 0 ok, 1 failed, 2 usage, 3 not in the registry,
4 not allowed, 5 unreachable, 6 too late.`,
		SilenceErrors: true, SilenceUsage: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	globalFlags(root.PersistentFlags())
	root.AddGroup(&cobra.Group{ID: "run", Title: "Run:"}, &cobra.Group{ID: "move", Title: "Move modules:"}, &cobra.Group{ID: "speak", Title: "Speak to what runs:"},
		&cobra.Group{ID: "edge", Title: "Guard the gateway:"}, &cobra.Group{ID: "operate", Title: "Operate:"})
	root.AddCommand(a.up(), a.runModules(), a.gateway(), a.extract(), a.absorb(), a.topology(), a.verify(), a.outbox(), a.services(), a.describe(), a.call(), a.stream(), a.trace(), a.logsOf(), a.events(), a.shop(), a.apikey(), a.policy(), a.hook(), a.resilience(), a.mesh(), a.config(), a.fault(), a.ps(), a.top(), a.doctor(), a.healthcheck(), a.version())
	return root
}

// exactly makes cobra's complaint about arguments a usage error.
func exactly(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usagef("%w\nUsage: %s", err, c.UseLine())
		}
		return nil
	}
}
