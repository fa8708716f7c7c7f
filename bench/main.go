// Command bench runs the same small call through many RPC stacks, side by side: client and server are processes of their own, and the
// stacks take turns, so that a busy moment of the machine hits all of them.
//
//	go -C bench run .                          all stacks, three rounds
//	go -C bench run . -stacks grpc-go,cleave   some
//
// Absolute figures are of this machine at this moment; the ratios of one run are what it tells. It prints a table and writes bench.svg.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "serve" {
		return serve(args[1])
	}
	if len(args) == 5 && args[0] == "load" {
		return load(args[1], args[2], args[3], args[4])
	}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	rounds := f.Int("rounds", 3, "how often each stack has its turn; the median counts")
	duration := f.Duration("duration", time.Second, "of one turn")
	concurrency := f.String("concurrency", "1,16,128", "calls at once")
	names := f.String("stacks", "", "which, by name; default all")
	base := f.String("base", "grpc-go", "what the ratios are to")
	svg := f.String("svg", "bench.svg", "where the picture goes; empty for none")
	if err := f.Parse(args); err != nil {
		return err
	}
	var at []int
	for s := range strings.SplitSeq(*concurrency, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("concurrency %q", s)
		}
		at = append(at, n)
	}
	var chosen []string
	for _, s := range stacks() {
		if *names == "" || slices.Contains(strings.Split(*names, ","), s.name) {
			chosen = append(chosen, s.name)
		}
	}
	results, err := rounded(chosen, at, *rounds, *duration)
	if err != nil {
		return err
	}
	report(os.Stdout, results, at, *base)
	if *svg == "" {
		return nil
	}
	return os.WriteFile(*svg, picture(results, at[len(at)-1]), 0o644) //nolint:gosec // to be read
}
