// Command edge puts gateways side by side in front of the same small GET, and wrk in front of them: nginx, HAProxy, Caddy, Traefik and KrakenD's
// engine as plain proxies of a server that speaks JSON; grpc-gateway, vanguard and `cleave gateway` as those who make a call of it and JSON of the
// answer. Each is a process of its own, all run all the time, and take turns, so that a busy moment of the machine hits all of them. Then it
// measures the transcoding alone.
//
//	go -C bench run ./edge -build                              the peers are built, and nothing is measured
//	go -C bench run ./edge                                     five rounds (about three minutes, when the peers are built)
//	go -C bench run ./edge -gateways cleave,grpc-gateway       some
//	go -C bench run ./edge -o figures -svg ../docs/edge.svg    what test/prove reads, and a picture
//	go -C bench run ./edge -profile cpu.out -gateways cleave   where the time of ours goes, for `go tool pprof`
//
// wrk has to be there, nginx and HAProxy are looked for (`apt-get install wrk nginx haproxy`). Caddy, Traefik and KrakenD's engine are built from
// modules of their own, bench/peers, into the user's cache folder: the first time takes minutes, and Traefik's half an hour on two cores that are
// busy. One that is not there has a row that says so, and no figure. CLEAVE_TEST_BINARY names a binary of ours, instead of one that is built.
//
// Gateways, server and wrk share the machine: the request rate says how much of it the gateway leaves to the others, the processor time a request
// is that of the gateway's process alone. Absolute figures are of this machine at this moment; the ratios of one run are what it tells.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cleavehq/cleave/bench/internal/stat"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "edge:", err)
		os.Exit(1)
	}
}

// plan is what a run does.
type plan struct {
	gateways    []string
	rounds      int
	turn        time.Duration
	connections int
	output      string
	svg         string
	profile     string
	transcoding bool
	build       time.Duration
	only        bool // build
}

func parse(args []string) (plan, error) {
	var p plan
	f := flag.NewFlagSet("edge", flag.ContinueOnError)
	names := f.String("gateways", strings.Join(gatewayNames(), ","), "which gateways, by name")
	f.IntVar(&p.rounds, "rounds", 5, "how often each has its turn; the median counts")
	f.DurationVar(&p.turn, "turn", 3*time.Second, "of one turn; whole seconds")
	f.IntVar(&p.connections, "connections", 64, "of wrk")
	f.StringVar(&p.output, "o", "table", "table or figures")
	f.StringVar(&p.svg, "svg", "", "where a picture goes; empty for none")
	f.StringVar(&p.profile, "profile", "", "where a processor profile of our gateway goes; empty for none")
	f.BoolVar(&p.transcoding, "transcoding", true, "measure the transcoding alone, too")
	f.DurationVar(&p.build, "build-within", 30*time.Minute, "a peer takes at most to be built; one that takes longer has no figures")
	f.BoolVar(&p.only, "build", false, "build the peers, and measure nothing")
	if err := f.Parse(args); err != nil {
		return p, err
	}
	for n := range strings.SplitSeq(*names, ",") {
		if !slices.Contains(gatewayNames(), n) {
			return p, fmt.Errorf("-gateways %q: there is none called %q", *names, n)
		}
		p.gateways = append(p.gateways, n)
	}
	if f.NArg() > 0 || p.rounds < 1 || p.turn < time.Second || p.build <= 0 || p.connections < 1 || (p.output != "table" && p.output != "figures") {
		return p, fmt.Errorf("arguments %q: -h tells which there are", args)
	}
	return p, nil
}

func run(ctx context.Context, args []string) (err error) {
	if is, err := children(args); is {
		return err
	}
	p, err := parse(args)
	if err != nil {
		return err
	}
	if p.only {
		return build(ctx, p)
	}
	dir, err := os.MkdirTemp("", "cleave-edge-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	rows, err := compare(ctx, p, dir)
	if err != nil {
		return err
	}
	var alone *transcoding
	if p.transcoding {
		if alone, err = transcode(ctx); err != nil {
			return err
		}
	}
	if p.svg != "" {
		if err := os.WriteFile(p.svg, picture(rows), 0o644); err != nil { //nolint:gosec // to be read
			return err
		}
	}
	if p.output == "figures" {
		return stat.Print(os.Stdout, figures(rows, alone))
	}
	return show(os.Stdout, rows, alone)
}

// children are the programs that this one runs as processes of their own, by their first argument.
func children(args []string) (is bool, err error) {
	switch {
	case len(args) == 2 && args[0] == "upstream":
		return true, serveUpstream(args[1])
	case len(args) == 3 && args[0] == "grpc-gateway":
		return true, serveGRPCGateway(args[1], args[2])
	case len(args) == 3 && args[0] == "vanguard":
		return true, serveVanguard(args[1], args[2])
	}
	return false, nil
}

func sayf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
