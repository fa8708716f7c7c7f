package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/mesh"
	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/cmd/cleave/internal/acl"
)

// The tokens that bootstrap leaves, by the names of their files.
const (
	tokenUp  = acl.Up
	tokenCLI = acl.CLI
)

// tokenDir is where bootstrap leaves them, unless told otherwise.
func tokenDir(s settings) string { return filepath.Join(s.Data.Dir, "consul", "tokens") }

// ownToken takes the token that bootstrap has left on this machine, when none was given.
func ownToken(s *settings, name string) {
	if !s.Mesh || s.Consul.Token != "" {
		return
	}
	b, err := os.ReadFile(filepath.Join(tokenDir(*s), name)) //nolint:gosec // in the folder of the data
	if err == nil {
		s.Consul.Token = strings.TrimSpace(string(b))
	}
}

// hostToken is the token of a host that this command starts for a module. In the mesh this command's own is good for another identity: the module's
// is in the file, or where bootstrap has left it.
func hostToken(s settings, module, file string) (string, error) {
	if file == "" {
		if !s.Mesh {
			return s.Consul.Token, nil
		}
		file = filepath.Join(tokenDir(s), module)
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return s.Consul.Token, nil // without ACLs there are none
		}
	}
	b, err := os.ReadFile(file) //nolint:gosec // the operator names it, or it is in the folder of the data
	if err != nil {
		return "", usagef("the new host's token: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// join readies Consul for `up`, which has a machine to itself, when it was given no token: bootstrap does nothing that is done already.
func (a *app) join(ctx context.Context, s *settings, log *slog.Logger, what serving) error {
	if !s.Mesh || s.Consul.Token != "" {
		return nil
	}
	if what.gateway && len(what.modules) > 0 {
		if err := a.bootstrap(ctx, *s, tokenDir(*s), log); err != nil {
			return fmt.Errorf("ready Consul for the mesh: %w\nGive this process a token of its own with --consul-token-file, or one that may manage ACLs to `cleave mesh bootstrap`", err)
		}
	}
	ownToken(s, tokenUp)
	return nil
}

func (a *app) bootstrap(ctx context.Context, s settings, dir string, log *slog.Logger) error {
	c, err := consulClient(s)
	if err != nil {
		return err
	}
	return acl.Bootstrap(ctx, acl.Config{Client: c, Dir: dir, Parties: a.parties(), Log: log})
}

// parties are who has an identity, and whom they call.
func (a *app) parties() acl.Parties {
	p := acl.Parties{Gateway: api.Name}
	for _, m := range a.env.Modules {
		p.Modules = append(p.Modules, acl.Module{Name: m.Name, Calls: m.Calls})
	}
	return p
}

// identities is nil when there is no mesh.
func (p *parts) identities(s settings, metrics prometheus.Registerer, log *slog.Logger) (*mesh.Mesh, error) {
	if !s.Mesh {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	c, err := consulClient(s)
	if err != nil {
		return nil, err
	}
	secure, err := consulTLS(s)
	if err != nil {
		return nil, err
	}
	source, err := mesh.NewConsul(mesh.ConsulConfig{Client: c, GRPC: s.Consul.GRPC, TLS: secure, Token: s.Consul.Token, Log: log})
	if err != nil {
		return nil, err
	}
	m, err := mesh.New(mesh.Config{Source: source, Log: log, Metrics: metrics})
	if err != nil {
		return nil, err
	}
	p.add(m.Close)
	return m, nil
}

// identity is nil when there is no mesh.
func identity(ctx context.Context, ids *mesh.Mesh, name string) (*mesh.Identity, error) {
	if ids == nil {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	i, err := ids.Identity(ctx, name)
	if err != nil {
		return nil, &codedError{exitAuth, fmt.Errorf("%w\nIs Consul there, and may the token write the service %s?", err, name)}
	}
	return i, nil
}

// secured makes a gateway ask for contracts with its identity.
func secured(ctx context.Context, ids *mesh.Mesh, c *api.Config) error {
	i, err := identity(ctx, ids, api.Name)
	if i != nil {
		c.Credentials = i.Credentials
	}
	return err
}

// identity is that of this command; nil when there is no mesh.
func (se *session) identity(ctx context.Context) (*mesh.Identity, error) {
	if se.as != nil || !se.s.Mesh {
		return se.as, nil
	}
	ids, err := se.identities(se.s, nil, se.log)
	if err != nil {
		return nil, err
	}
	se.as, err = identity(ctx, ids, acl.CLI)
	return se.as, err
}

// dial is how this command speaks to an instance of a service; of any, when it is "".
func (se *session) dial(ctx context.Context, service string) ([]grpc.DialOption, error) {
	i, err := se.identity(ctx)
	if i == nil || err != nil {
		return nil, err
	}
	return []grpc.DialOption{grpc.WithTransportCredentials(i.Credentials(service))}, nil
}

func (se *session) stats(ctx context.Context, address string) (rpc.Stats, error) {
	dial, err := se.dial(ctx, "")
	if err != nil {
		return rpc.Stats{}, err
	}
	return rpc.StatsOf(ctx, address, dial...)
}

func (a *app) mesh() *cobra.Command {
	m := &cobra.Command{
		Use: "mesh", Short: "Ready Consul for mutual TLS between modules", GroupID: "edge", Args: exactly(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var dir string
	boot := &cobra.Command{
		Use: "bootstrap", Short: "Make policies, tokens and intentions in Consul", Args: exactly(cobra.NoArgs),
		Long: `bootstrap makes what is missing of: Consul's first token, a policy and a token for each module, the gateway, this command and
the agent, and an intention for each pair of modules of which one calls the other. Run again it changes nothing that is right.
The tokens are files that their owner alone can read, named by whose they are; "management" may do everything: keep it elsewhere.
Where the first token was made before, give it with --consul-token-file. Without ACLs in Consul it makes the intentions only.`,
		Example: "  cleave mesh bootstrap --registry consul\n  cleave run --modules order --registry consul --mesh --consul-token-file .cleave/consul/tokens/order",
		RunE: func(c *cobra.Command, _ []string) error {
			s, log, err := a.settings(c)
			if err != nil {
				return err
			}
			if s.Registry != registryConsul {
				return usagef("identities come from Consul: it needs --registry consul")
			}
			if dir == "" {
				dir = tokenDir(s)
			}
			return a.bootstrap(c.Context(), s, dir, log)
		},
	}
	boot.Flags().StringVar(&dir, "dir", "", "folder of the tokens; default DATA-DIR/consul/tokens")
	boot.Flags().String("data-dir", defaults().Data.Dir, "folder of the data")
	policies := &cobra.Command{
		Use: "policies DIR", Short: "Write the ACL policies that bootstrap makes into files", Args: exactly(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // no secret is in it
				return err
			}
			for name, rules := range acl.Policies(a.parties()) {
				if err := os.WriteFile(filepath.Join(args[0], name+".hcl"), []byte(rules), 0o644); err != nil { //nolint:gosec // likewise
					return err
				}
			}
			return nil
		},
	}
	m.AddCommand(boot, policies)
	return m
}
