package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cleavehq/cleave/chassis/config"
	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/topology"
)

// settings of every command. A setting that a command has no flag for may still come from elsewhere.
type settings struct {
	Registry string `koanf:"registry" layers:"local"`
	Consul   struct {
		Addr  string `koanf:"addr" layers:"local"`
		GRPC  string `koanf:"grpc" layers:"local"`
		Token string `koanf:"token" layers:"local" secret:"true"`
		// CA is whose certificates its ports show, Cert and Key what is shown to them: files.
		CA   string `koanf:"ca" layers:"local"`
		Cert string `koanf:"cert" layers:"local"`
		Key  string `koanf:"key" layers:"local"`
	} `koanf:"consul"`
	Mesh bool `koanf:"mesh" layers:"local"`
	MDNS struct {
		Domain string `koanf:"domain" layers:"local"`
	} `koanf:"mdns"`
	Broker string `koanf:"broker" secret:"url"`
	Data   struct {
		Dir string `koanf:"dir" layers:"local"`
		URL string `koanf:"url" secret:"url"`
	} `koanf:"data"`
	Module struct {
		Version string `koanf:"version" layers:"local"`
	} `koanf:"module"`
	Direct    bool   `koanf:"direct" layers:"local"`
	Host      string `koanf:"host" layers:"local"`
	Leave     bool   `koanf:"leave" layers:"local"` // end when the topology has placed every module elsewhere; extract says so to what it starts
	Listen    string `koanf:"listen" layers:"local"`
	Advertise string `koanf:"advertise" layers:"local"`
	Admin     struct {
		Listen string `koanf:"listen" layers:"local"`
	} `koanf:"admin"`
	TLS struct {
		Cert string `koanf:"cert" layers:"local"`
		Key  string `koanf:"key" layers:"local"`
		// ClientCA is whose client certificates are taken.
		ClientCA string `koanf:"client_ca" layers:"local"`
	} `koanf:"tls"`
	HTTP3 bool `koanf:"http3" layers:"local"`
	Log   struct {
		Level string `koanf:"level" live:"true"`
		// Levels of single modules: order=debug.
		Levels []string `koanf:"levels" live:"true"`
		Format string   `koanf:"format"`
	} `koanf:"log"`
	Trace traceSettings `koanf:"trace"`
	OTLP  otlpSettings  `koanf:"otlp"`
	Auth  struct {
		Issuer   string `koanf:"issuer"`
		Audience string `koanf:"audience"`
		JWKS     string `koanf:"jwks"`
	} `koanf:"auth"`
	Access struct {
		Log string `koanf:"log"` // a share, or off
	} `koanf:"access"`
	CORS struct {
		Origins []string `koanf:"origins" live:"true"`
	} `koanf:"cors"`
	Gateway struct {
		// Timeout of a call whose policy has none.
		Timeout time.Duration `koanf:"timeout" live:"true"`
		// MaxBody of a request, in bytes.
		MaxBody int64 `koanf:"max_body" live:"true"`
	} `koanf:"gateway"`
	Health struct {
		// Leave takes a module whose database is away out of the registry.
		Leave bool `koanf:"leave"`
	} `koanf:"health"`
	AllowFaults bool   `koanf:"allow_faults" layers:"local"`
	Failpoints  string `koanf:"failpoints" layers:"local"`
	Resilience  string `koanf:"resilience" layers:"local"` // off only for tests
	Output      string `koanf:"output" layers:"local"`
}

// The choices of settings that have some.
const (
	registryMDNS   = "mdns"
	registryConsul = "consul"
	embedded       = "embedded"
	noBroker       = "none" // of a gateway alone
)

func defaults() settings {
	s := settings{Registry: registryMDNS, Output: "table"}
	s.Consul.Addr, s.Consul.GRPC = "127.0.0.1:8500", "127.0.0.1:8502"
	s.MDNS.Domain = "micro"
	s.Broker = embedded
	s.Admin.Listen = "127.0.0.1:0"
	s.Direct = true
	s.Data.Dir = ".cleave"
	s.Resilience = resilienceOn
	s.Log.Level, s.Log.Format = "info", "text"
	s.Access.Log = "0.01"
	s.Gateway.Timeout, s.Gateway.MaxBody = 10*time.Second, 4<<20
	s.Trace, s.OTLP = defaultTrace(), defaultOTLP()
	return s
}

// Validate implements config.Validator.
func (s settings) Validate() error {
	errs := []error{s.Trace.validate(), s.OTLP.validate()}
	choice := func(key, value string, of ...string) {
		if !slices.Contains(of, value) {
			errs = append(errs, config.Invalid(key, "%q is none of %s", value, strings.Join(of, ", ")))
		}
	}
	choice("registry", s.Registry, registryMDNS, registryConsul)
	choice("log.format", s.Log.Format, "text", "json")
	choice("resilience", s.Resilience, resilienceOn, resilienceOff)
	choice("output", s.Output, "table", "json")
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.Log.Level)); err != nil {
		errs = append(errs, config.Invalid("log.level", "%q is none of debug, info, warn, error", s.Log.Level))
	}
	if _, err := moduleLevels(s.Log.Levels); err != nil {
		errs = append(errs, config.Invalid("log.levels", "%v", err))
	}
	scheme, _, _ := strings.Cut(s.Broker, "://")
	choice("broker", scheme, embedded, noBroker, "nats", "tls", "amqp", "amqps")
	if s.Mesh && s.Registry != registryConsul {
		errs = append(errs, config.Invalid("mesh", "identities come from Consul: it needs --registry consul"))
	}
	if s.Host != "" && !topology.ValidHost(s.Host) {
		errs = append(errs, config.Invalid("host", "%q has other than a-z, 0-9 and _.+-, or more than 63 of them", s.Host))
	}
	if v := s.Module.Version; len(v) > 100 || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) {
		errs = append(errs, config.Invalid("module.version", "%q has other than visible ASCII characters, or more than 100 of them", v))
	}
	if s.Listen != "" {
		if _, _, err := net.SplitHostPort(s.Listen); err != nil && strings.Contains(s.Listen, ":") {
			errs = append(errs, config.Invalid("listen", "%q is not an address, such as 127.0.0.1:8080", s.Listen))
		}
	}
	if s.Auth.Issuer != "" && s.Auth.Audience == "" {
		errs = append(errs, config.Invalid("auth.audience", "an issuer of tokens needs one, so that tokens for others are not taken"))
	}
	for key, u := range map[string]string{"auth.issuer": s.Auth.Issuer, "auth.jwks": s.Auth.JWKS} {
		if u != "" && !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "http://127.0.0.1") && !strings.HasPrefix(u, "http://localhost") {
			errs = append(errs, config.Invalid(key, "%q is no https address", u))
		}
	}
	for _, o := range s.CORS.Origins {
		if u, err := url.Parse(o); o != "*" && (err != nil || u.Scheme+"://"+u.Host != o || u.Host == "") {
			errs = append(errs, config.Invalid("cors.origins", "%q is no origin, such as https://shop.example", o))
		}
	}
	if _, _, err := accessShare(s.Access.Log); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, s.gatewayErrors()...)
	if s.HTTP3 && s.TLS.Cert == "" {
		errs = append(errs, config.Invalid("http3", "HTTP/3 needs TLS: --tls-cert and --tls-key"))
	}
	if _, err := fault.Parse(s.Failpoints); err != nil {
		errs = append(errs, config.Invalid("failpoints", "%v", err))
	}
	return errors.Join(errs...)
}

func globalFlags(f *pflag.FlagSet) {
	d := defaults()
	f.String("config", "", "YAML file with settings")
	f.String("registry", d.Registry, "where services are found: mdns or consul")
	f.String("consul-addr", d.Consul.Addr, "Consul's HTTP address, or https://host:port; CONSUL_HTTP_ADDR is read too")
	f.String("consul-ca", "", "PEM file of the authority of Consul's HTTPS and gRPC ports, which speak TLS then; CONSUL_CACERT is read too")
	f.String("consul-cert", "", "PEM file of a client certificate for them; CONSUL_CLIENT_CERT is read too")
	f.String("consul-key", "", "PEM file of its private key; CONSUL_CLIENT_KEY is read too")
	f.String("consul-grpc", d.Consul.GRPC, "gRPC address of a Consul server, which signs certificates for --mesh")
	f.String("consul-token", "", "Consul ACL token; better in a file")
	f.String("consul-token-file", "", "file that holds the Consul ACL token")
	f.Bool("mesh", false, "mutual TLS between modules, with certificates and intentions of Consul; docs/mesh.md")
	f.String("mdns-domain", d.MDNS.Domain, "keeps registries on one network apart; the stock go-micro tools know only micro")
	f.String("log-level", d.Log.Level, "debug, info, warn or error")
	f.StringSlice("log-levels", nil, "levels of single modules, such as order=debug,catalog=warn")
	f.String("log-format", d.Log.Format, "text or json")
	f.StringP("output", "o", d.Output, "table or json")
}

// adminFlag adds those of every command that serves.
func adminFlag(f *pflag.FlagSet) {
	f.String("resilience", defaults().Resilience, "for tests: off leaves out limits, breakers, bulkheads, retry budget and default deadlines")
	faultFlag(f)
	f.String("admin-listen", defaults().Admin.Listen, "address of the listener for those who run this process: metrics and more; the registry says where it is")
	telemetryFlags(f)
}

// gatewayFlags are those of commands that run the gateway.
func gatewayFlags(f *pflag.FlagSet) {
	f.String("auth-issuer", "", "OpenID Connect issuer whose access tokens are taken, beside the shop's own: https://id.example.com")
	f.String("auth-audience", "", "audience that its tokens must have")
	f.String("tls-cert", "", "PEM file of the certificate, and the port speaks TLS; read again when it changes")
	f.String("tls-key", "", "PEM file of its private key")
	f.Bool("http3", false, "speak HTTP/3, too, on the same port over UDP; needs --tls-cert")
	f.String("tls-client-ca", "", "PEM file of the authorities whose client certificates are taken")
	f.StringSlice("cors-origins", nil, "origins whose pages may call from a browser, such as https://shop.example, or *; default: none")
	f.String("access-log", defaults().Access.Log, "share of requests, 0 to 1, that get a JSON line on standard output, besides all that fail or are slow; or off")
	f.String("auth-jwks", "", "where its keys are; default: discovered at the issuer")
}

// hostFlags are those of commands that run modules.
func hostFlags(f *pflag.FlagSet, broker string) {
	d := defaults()
	f.String("broker", broker, "embedded (a NATS server in this process), nats://host:4222 or amqp://host:5672")
	f.String("data-dir", d.Data.Dir, "folder of the SQLite files and of the embedded NATS")
	f.String("data-url", "", "PostgreSQL instead of SQLite: postgres://user@host/name; each module gets name_module")
	f.String("data-url-file", "", "file that holds the URL")
	f.String("advertise", "", "host that others reach this one at; default the one it listens on")
	f.String("failpoints", "", "for tests: places where this process dies, fails or waits, such as order.reserve.after=kill;outbox.publish.before=error*2")
	f.String("host", "", "name of this host, by which the topology knows it; default main for up, else its modules")
	f.String("module-version", "", "version of the modules in the registry, by which the topology may split calls; default the binary's")
	f.Bool("direct", d.Direct, "call modules of the same process directly; false: over the wire, as if they ran elsewhere")
}

// settings reads every layer.
func (a *app) settings(c *cobra.Command) (settings, *slog.Logger, error) {
	d := defaults()
	if f := c.Flags().Lookup("broker"); f != nil {
		d.Broker = f.DefValue
	}
	if f := c.Flags().Lookup("listen"); f != nil {
		d.Listen = f.DefValue
	}
	consul := api.DefaultConfig() // reads CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_CACERT and the like
	d.Consul.Addr, d.Consul.Token = consul.Address, consul.Token
	d.Consul.CA, d.Consul.Cert, d.Consul.Key = consul.TLSConfig.CAFile, consul.TLSConfig.CertFile, consul.TLSConfig.KeyFile
	file, _ := c.Flags().GetString("config")
	open := func(s settings) (config.KV, error) {
		ownToken(&s, a.token)
		return configStore(s)
	}
	if a.local {
		open = nil
	}
	loaded, err := config.LoadKV(c.Context(), d, config.Options{Flags: c.Flags(), EnvPrefix: "CLEAVE_", File: file, Lenient: a.lenient}, open)
	if err != nil {
		var wrong *config.Error
		if errors.As(err, &wrong) {
			return settings{}, nil, &usageError{err}
		}
		return settings{}, nil, err
	}
	s := loaded.Value
	if a.token == tokenCLI {
		ownToken(&s, a.token)
	}
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.Log.Level)) // validated
	a.loaded, a.logs = loaded, newLogs(level)
	a.logs.follow(s)
	log, err := a.logs.logger(a.env.Stderr, s.Log.Format)
	if err != nil {
		return s, nil, &usageError{err}
	}
	for _, r := range loaded.Refused() {
		if !a.lenient { // who is lenient has come to mend it
			log.WarnContext(c.Context(), "a setting is wrong, and left out", "key", r.Key, "source", r.Source, "error", r.Reason)
		}
	}
	return s, log, nil
}

// configStore is Consul KV for those whose registry is Consul, else a file beside the data.
func configStore(s settings) (config.Backend, error) {
	if s.Registry != registryConsul {
		return config.NewFileKV(filepath.Join(s.Data.Dir, "config.json")), nil
	}
	c, err := consulClient(s)
	if err != nil {
		return nil, err
	}
	return consulKV{config.NewConsulKV(c, "cleave/config/"), s.Consul.Addr}, nil
}

// consulKV says what to do when Consul doesn't answer.
type consulKV struct {
	*config.ConsulKV
	addr string
}

// Values implements config.KV.
func (k consulKV) Values(ctx context.Context) (map[string]string, error) {
	v, err := k.ConsulKV.Values(ctx)
	if err != nil {
		return nil, &codedError{exitUnreachable, fmt.Errorf(
			"no answer from Consul at %s: %w\nStart one with `go -C consul tool consul agent -dev`, or say where it is with --consul-addr", k.addr, err)}
	}
	return v, nil
}
