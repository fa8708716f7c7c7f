package main

import (
	"context"

	"github.com/cleavehq/cleave/bench/echo"
)

// say makes one call.
type say func(ctx context.Context, in *echo.Message) (*echo.Message, error)

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
	for _, s := range stacks() {
		if s.name == name {
			return s, true
		}
	}
	return stack{}, false
}

// message is the request that is sent over and over.
func message() *echo.Message {
	return &echo.Message{Id: "0192f5a0-0000-7000-8000-000000000001", Title: "Stoneware mug", Amount: 1990, Currency: "EUR"}
}

// answer is what every server does.
func answer(in, out *echo.Message) {
	out.Id, out.Title, out.Amount, out.Currency = in.GetId(), in.GetTitle(), in.GetAmount(), in.GetCurrency()
}

// echoer is a go-micro handler.
type echoer struct{}

func (echoer) Say(_ context.Context, in, out *echo.Message) error {
	answer(in, out)
	return nil
}
