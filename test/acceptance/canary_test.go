package acceptance

import (
	"bytes"
	"context"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// Secrets that are planted at every door must be nowhere afterwards: in no log, no database, no event and no answer.
func TestSecretsAreNowhere(t *testing.T) {
	canary := map[string]string{
		"password":       "canary-password-71c2e9",
		"wrong password": "canary-wrong-0b6d44",
		"card":           "tok_canary_card_5e8f01",
		"bearer":         "canary.bearer.93a7d2",
		"mail server":    "canary-smtp-c4410e",
		"key of keys":    "canary-sealing-secret-of-32-letters-2f",
	}
	t.Setenv("SHOP_SMTP_URL", "smtp://shop:"+canary["mail server"]+"@127.0.0.1:1?tls=off")
	t.Setenv("SHOP_CUSTOMER_SECRET", canary["key of keys"])
	s := harness.OneProcess(t, binary.Build(t), nil, "--log-level", "debug")

	email := "canary-" + harness.UUID(t)[:8] + "@example.com"
	s.Must(t, http.MethodPost, "/v1/customers", map[string]any{"email": email, "password": canary["password"], "name": "Ada"}, nil)
	var refused []byte
	status, err := s.Do(t.Context(), http.MethodPost, "/v1/customers:login", map[string]any{"email": email, "password": canary["wrong password"]}, &refused)
	if err != nil || status != http.StatusUnauthorized {
		t.Errorf("a wrong password: status %d, %v, %s", status, err, refused)
	}
	_, sku, _, _ := s.InStock(t)
	if status, _, p := s.PlaceOrder(t, s.NewCart(t, sku, 1), canary["card"], harness.UUID(t)); status != http.StatusUnprocessableEntity {
		t.Errorf("a card that nobody knows: status %d, %+v", status, p)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Base+"/v1/customers/"+harness.UUID(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+canary["bearer"])
	var answer []byte
	if status, err := s.Send(req, &answer); err != nil || status != http.StatusUnauthorized {
		t.Errorf("a token that is none: status %d, %v", status, err)
	}
	refused = append(refused, answer...)
	harness.Eventually(t, 20*time.Second, "a mail could not be sent", func() bool {
		var raw []byte
		status, err := s.Do(context.WithoutCancel(t.Context()), http.MethodGet, "/v1/notifications", nil, &raw)
		refused = append(refused, raw...)
		return err == nil && status == http.StatusOK && bytes.Contains(raw, []byte("UNREACHABLE"))
	})
	if code := s.Gateway.Stop(40 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	found := 0
	look := func(where string, text []byte) {
		for what, secret := range canary {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("the %s is in %s", what, where)
				found++
			}
		}
	}
	look("the answers", refused)
	look("the log", []byte(s.Gateway.Output()))
	files, seen := 0, false
	err = filepath.WalkDir(s.DataDir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		seen = seen || strings.HasPrefix(filepath.Base(path), "customer.db") && bytes.Contains(b, []byte(email))
		look(filepath.Base(path), b)
		return nil
	})
	if err != nil || files < 10 || !seen {
		t.Errorf("%d files were searched, the customer's own address found: %t, %v", files, seen, err)
	}
	harness.Figure(t, "secrets_found", float64(found), 0, "places")
}
