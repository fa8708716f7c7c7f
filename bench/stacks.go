package main

import (
	"github.com/cleavehq/cleave/bench/echo"
	"github.com/cleavehq/cleave/bench/internal/load"
)

// stack is one way to make a call.
type stack struct {
	name string
	// serve begins to serve and returns where. Nil for one that has no server.
	serve func() (address string, err error)
	// dial returns how to call the server.
	dial func(address string) (say, error)
}

// stacks are all of them, the product's first.
func stacks() []stack {
	return []stack{
		{"cleave-direct", nil, dialDirect(false)},
		{"cleave-direct-shared", nil, dialDirect(true)},
		{"cleave-lane", serveCleave(false), dialCleave(false)},
		{"cleave-grpc", serveCleave(true), dialCleave(true)},
		{"floor", serveFloor, dialFloor},
		{"kitex", serveKitex, dialKitex},
		{"ttrpc", serveTTRPC, dialTTRPC},
		{"grpc-go", serveGRPC, dialGRPC},
		{"go-kit", serveKit, dialKit},
		{"twirp", serveTwirp, dialTwirp},
		{"kratos", serveKratos, dialKratos},
		{"go-zero", serveZero, dialZero},
		{"connect", serveConnect, dialConnect},
		{"go-micro-grpc", serveMicroGRPC, dialMicroGRPC},
		{"go-micro", serveMicro, dialMicro},
	}
}

func find(name string) (stack, bool) {
	for _, s := range append(stacks(), observedStacks()...) {
		if s.name == name {
			return s, true
		}
	}
	return stack{}, false
}

// The words of package load, which every stack uses.
type (
	say    = load.Say
	turn   = load.Turn
	echoer = load.Echoer
)

func message() *echo.Message { return load.Message() }

func answer(in, out *echo.Message) { load.Answer(in, out) }
