package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/cmd/cleave/internal/cli"
	"github.com/cleavehq/cleave/services/payment"
	"github.com/cleavehq/cleave/services/payment/provider"
	"github.com/cleavehq/cleave/services/payment/testprovider"
)

// For a test of the shop the test provider has a folder, which it keeps when the process ends as a bank would, a seed by which it is
// hostile, and the URL that it posts its events to, signed with the secret. `cleave verify` then looks into the folder too.
const (
	providerDir     = "CLEAVE_TEST_PROVIDER_DIR"
	providerSeed    = "CLEAVE_TEST_PROVIDER_HOSTILE"
	providerWebhook = "CLEAVE_TEST_PROVIDER_WEBHOOK"
	providerSecret  = "CLEAVE_TEST_PROVIDER_SECRET" //nolint:gosec // the name of a variable
)

// webhookWait bounds one delivery of an event.
const webhookWait = 10 * time.Second

func payments() payment.Config {
	dir, seed := os.Getenv(providerDir), os.Getenv(providerSeed)
	if dir == "" {
		return payment.Config{}
	}
	return payment.Config{Provider: func(ctx context.Context, d host.Deps) (payment.Provider, error) {
		c := testprovider.Config{Dir: dir, Hostile: seed != "", Now: d.Now, Log: d.Log, Secret: provider.Secret(os.Getenv(providerSecret))}
		if url := os.Getenv(providerWebhook); url != "" {
			c.Deliver = func(ctx context.Context, header map[string]string, body []byte) error {
				return post(ctx, url, header, body)
			}
		}
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

// post delivers an event of the test provider.
func post(ctx context.Context, url string, header map[string]string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, webhookWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body)) //nolint:gosec // who tests names the URL
	if err != nil {
		return err
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	rsp, err := http.DefaultClient.Do(req) //nolint:gosec // as above
	if err != nil {
		return err
	}
	_ = rsp.Body.Close()
	if rsp.StatusCode/100 != 2 {
		return fmt.Errorf("post an event: status %s", rsp.Status)
	}
	return nil
}

func books() []cli.Book {
	return []cli.Book{{Name: testprovider.File, Dir: os.Getenv(providerDir), Checks: testprovider.Invariants()}}
}
