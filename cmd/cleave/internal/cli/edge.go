package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go-micro.dev/v4/client"

	"github.com/cleavehq/cleave/api"
	"github.com/cleavehq/cleave/chassis/apikey"
	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/kv"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	"github.com/cleavehq/cleave/services/customer"
)

// The documents that operators write for the gateways: in Consul under cleave/gateway/, else in files beside the data.
const (
	keyDocuments    = "keys"
	policyDocuments = "policy"
	hookDocuments   = "hooks"
)

func edgeStore(what string) func(settings) (kv.Store, error) {
	return func(s settings) (kv.Store, error) {
		return documentStore(s, "cleave/gateway/"+what, "gateway-"+what+".json")
	}
}

// edge completes the configuration of a gateway with who may call it.
func edge(s settings, calls client.Client, c api.Config) (api.Config, error) {
	var errs [4]error
	c.TLS, errs[2] = serverTLS(s.TLS.Cert, s.TLS.Key, s.TLS.ClientCA)
	c.Keys, errs[0] = edgeStore(keyDocuments)(s)
	c.Overrides, errs[1] = edgeStore(policyDocuments)(s)
	c.Hooks, errs[3] = edgeStore(hookDocuments)(s)
	c.Origins = s.CORS.Origins
	c.HTTP3 = s.HTTP3
	c.Issuers = []api.Issuer{{
		Name: customer.Issuer, Audience: customer.Audience, Keys: shopKeys(calls), Algorithms: []string{authn.EdDSA}, Roles: shopRoles(),
	}}
	if s.Auth.Issuer != "" {
		keys := authn.Discover(s.Auth.Issuer, nil)
		if s.Auth.JWKS != "" {
			keys = authn.JWKS(s.Auth.JWKS, nil)
		}
		c.Issuers = append(c.Issuers, api.Issuer{Name: s.Auth.Issuer, Audience: s.Auth.Audience, Keys: keys})
	}
	return c, errors.Join(errs[:]...)
}

// shopRoles are the scopes of the shop's own roles.
func shopRoles() map[string][]string {
	return map[string][]string{
		"admin": {"*"},
		"staff": {"catalog.*", "inventory.*", "order.*", "fulfilment.*", "notification.*", "payment.read", "pricing.read"},
	}
}

// shopKeys are the keys of the customers' module, wherever it runs.
func shopKeys(calls client.Client) authn.KeySource {
	customers := customerv1.NewCustomerService("customer", calls)
	return authn.KeySourceFunc(func(ctx context.Context) ([]authn.Key, error) {
		set, err := customers.GetKeys(ctx, &customerv1.GetKeysRequest{})
		if err != nil {
			return nil, err
		}
		var out []authn.Key
		for _, k := range set.GetKeys() {
			key, err := authn.ParseKey(k.GetKid(), k.GetX())
			if err != nil {
				return nil, err
			}
			out = append(out, key)
		}
		return out, nil
	})
}

// adminKeyFile is where `up` leaves a key that may do everything, for the one who runs it.
func adminKeyFile(s settings) string { return filepath.Join(s.Data.Dir, "admin.key") }

// adminKey makes that key, unless there is one that is good.
func adminKey(ctx context.Context, s settings, log *slog.Logger) error {
	store, err := edgeStore(keyDocuments)(s)
	if err != nil {
		return err
	}
	documents, err := store.Read(ctx)
	if err != nil {
		return fmt.Errorf("look for the admin's key: %w", err)
	}
	path := adminKeyFile(s)
	text, err := os.ReadFile(path) //nolint:gosec // in the folder of the data
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for the admin's key: %w", err)
	}
	var ring apikey.Ring
	ring.Replace(documents)
	if _, err := ring.Find(strings.TrimSpace(string(text)), time.Now()); err == nil {
		return nil
	}
	k, made, err := apikey.New("admin", []string{"*"}, time.Now(), time.Time{})
	if err != nil {
		return err
	}
	if err := putKey(ctx, store, k); err != nil {
		return err
	}
	if err := os.MkdirAll(s.Data.Dir, 0o700); err != nil {
		return fmt.Errorf("keep the admin's key: %w", err)
	}
	if err := os.WriteFile(path, []byte(made+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep the admin's key: %w", err)
	}
	log.InfoContext(ctx, "made an API key that may do everything", "id", k.ID, "file", path)
	return nil
}

func putKey(ctx context.Context, store kv.Store, k apikey.Key) error {
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return store.Put(ctx, k.ID, b)
}
