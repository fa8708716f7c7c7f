package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cleave": main})
}

// The scripts in testdata/script say what a person types and reads.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			defer func() { _ = ln.Close() }()
			e.Setenv("GATEWAY", ln.Addr().String())
			e.Setenv("CLEAVE_MDNS_DOMAIN", "script-"+strconv.FormatInt(time.Now().UnixNano(), 36)) // others may run on this machine
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"await": await, "code": code},
	})
}

// await waits until `cleave ARGS` succeeds.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("await can't be negated")
	}
	deadline, tick := time.After(30*time.Second), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for {
		if err := ts.Exec("cleave", args...); err == nil {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("cleave %q: not within 30 s", args)
		case <-tick.C:
		}
	}
}

// code runs `cleave ARGS` and wants an exit code: code N ARGS...
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("cleave", args[1:]...)
	got := 0
	var exit interface{ ExitCode() int }
	if err != nil {
		var ok bool
		if exit, ok = err.(interface{ ExitCode() int }); !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		fmt.Fprintln(os.Stderr, err)
		ts.Fatalf("cleave %q: exit code %d, want %d", args[1:], got, want)
	}
}
