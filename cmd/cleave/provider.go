package main

import (
	"context"
	"os"
	"strconv"

	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/cmd/cleave/internal/cli"
	"github.com/cleavehq/cleave/services/payment"
	"github.com/cleavehq/cleave/services/payment/testprovider"
)

// For a test of the shop the test provider has a folder, which it keeps when the process ends as a bank would, and a seed by which it is
// hostile. `cleave verify` then looks into the folder too.
const (
	providerDir  = "CLEAVE_TEST_PROVIDER_DIR"
	providerSeed = "CLEAVE_TEST_PROVIDER_HOSTILE"
)

func payments() payment.Config {
	dir, seed := os.Getenv(providerDir), os.Getenv(providerSeed)
	if dir == "" {
		return payment.Config{}
	}
	return payment.Config{Provider: func(ctx context.Context, d host.Deps) (payment.Provider, error) {
		c := testprovider.Config{Dir: dir, Hostile: seed != "", Now: d.Now, Log: d.Log}
		var err error
		if c.Hostile {
			c.Seed, err = strconv.ParseUint(seed, 10, 64)
		}
		if err != nil {
			return nil, err
		}
		return testprovider.Open(ctx, c)
	}}
}

func books() []cli.Book {
	return []cli.Book{{Name: testprovider.File, Dir: os.Getenv(providerDir), Checks: testprovider.Invariants()}}
}
