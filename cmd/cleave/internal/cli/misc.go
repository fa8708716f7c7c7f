package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

const healthTime = 3 * time.Second

func (a *app) healthcheck() *cobra.Command {
	return &cobra.Command{
		Use: "healthcheck ADDRESS", Short: "Ask a module (host:port) or a gateway (http://...) whether it is well", Args: exactly(cobra.ExactArgs(1)),
		Long: "healthcheck asks by the standard gRPC health service, or by GET, and exits with 5 when the answer is not good. Containers use it.",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), healthTime)
			defer cancel()
			secure, _ := c.Flags().GetBool("mesh") // the flag is there
			ask := grpcHealth(secure)
			if strings.HasPrefix(args[0], "http://") || strings.HasPrefix(args[0], "https://") {
				ask = httpHealth
			}
			if err := ask(ctx, args[0]); err != nil {
				return &codedError{exitUnreachable, fmt.Errorf("%s is not well: %w", args[0], err)}
			}
			return nil
		},
	}
}

func httpHealth(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = rsp.Body.Close()
	if rsp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", rsp.Status)
	}
	return nil
}

// grpcHealth asks a module; one with an identity as Consul's check does: over TLS, trusting whoever answers with no more than this question.
func grpcHealth(secure bool) func(context.Context, string) error {
	creds := insecure.NewCredentials()
	if secure {
		creds = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}) //nolint:gosec // as above
	}
	return func(ctx context.Context, address string) error {
		conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		rsp, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			return err
		}
		if rsp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			return fmt.Errorf("it answers %s", rsp.GetStatus())
		}
		return nil
	}
}

// build is what the binary knows of itself.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Dirty   bool   `json:"dirty,omitempty"`
	Go      string `json:"go"`
}

func version() build {
	b := build{Version: "dev", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		}
	}
	return b
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: exactly(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			s, _, err := a.settings(c)
			if err != nil {
				return err
			}
			v := version()
			if s.Output == "json" {
				return a.json(v)
			}
			_, err = fmt.Fprintf(a.env.Stdout, "cleave %s (%s, %s)\n", v.Version, v.Commit, v.Go)
			return err
		},
	}
}
