package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// turn is what came of asking one gateway for a while.
type turn struct {
	requests int
	took     time.Duration
	p50, p99 time.Duration
	cpu      time.Duration // of the gateway's process
}

func findWrk() (string, error) {
	path, err := exec.LookPath("wrk")
	if err != nil {
		return "", errors.New("wrk is not installed: apt-get install wrk")
	}
	return path, nil
}

// wrk asks for url over so many connections. An answer that is no success is an error.
func wrk(ctx context.Context, bin, url string, connections int, d time.Duration) (turn, error) {
	out, err := exec.CommandContext(ctx, bin, "-t1", "-c", strconv.Itoa(connections), "-d", fmt.Sprintf("%ds", int(d.Seconds())), "--latency", url).CombinedOutput() //nolint:gosec // ours
	if err != nil {
		return turn{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	return parseWrk(string(out))
}

// parseWrk reads what wrk 4 prints.
func parseWrk(text string) (t turn, err error) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "50%":
			t.p50, err = time.ParseDuration(f[1])
		case len(f) == 2 && f[0] == "99%":
			t.p99, err = time.ParseDuration(f[1])
		case len(f) > 4 && f[1] == "requests" && f[2] == "in":
			if t.requests, err = strconv.Atoi(f[0]); err == nil {
				t.took, err = time.ParseDuration(strings.TrimSuffix(f[3], ","))
			}
		case strings.Contains(line, "Non-2xx"), strings.Contains(line, "Socket errors"):
			err = fmt.Errorf("wrk: %s", strings.TrimSpace(line))
		}
		if err != nil {
			return t, err
		}
	}
	if t.requests == 0 || t.took == 0 || t.p50 == 0 || t.p99 == 0 {
		return t, fmt.Errorf("wrk said:\n%s", text)
	}
	return t, nil
}
