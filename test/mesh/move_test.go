package mesh

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/cleavehq/cleave/test/harness"
)

// A module is taken out of a shop in the mesh, and back, while customers buy: no request fails. Its new host is itself and nobody else: the token is
// that of the module, the certificate is not the one that the old host has, and what it calls is called by intention, where it was direct before.
func TestAModuleMovesInTheMesh(t *testing.T) {
	consul := harness.StartClosedConsul(t)
	s := harness.OneProcess(t, binary.Build(t), consul, "--mesh")
	dir := filepath.Join(s.DataDir(), "consul", "tokens")
	manager := asks(t, consul, token(t, dir, "management"))
	before := leaf(t, instance(t, manager, "order"))
	product, sku, _, _ := s.InStock(t)
	s.Must(t, http.MethodPut, "/v1/stock/"+sku, map[string]any{"onHand": 9_000}, nil)
	reads := harness.StartLoad(t, 50, func(ctx context.Context) error {
		return fine(s.Do(ctx, http.MethodGet, "/v1/products/"+product.ID, nil, nil))
	})
	buyers := harness.StartLoad(t, 4, func(ctx context.Context) error { return buy(ctx, t, s, sku) })

	extract := s.Start("extract", "order", "--mesh", "--hold", "500ms")
	t.Cleanup(s.Extracted(extract))
	if code := extract.Wait(2 * time.Minute); code != 0 {
		t.Fatalf("extract: exit code %d:\n%s\n%s", code, extract.Output(), s.Gateway.Output())
	}
	after := leaf(t, instance(t, manager, "order"))
	if before.id != after.id || !strings.HasSuffix(after.id, "/svc/order") || after.key.Equal(before.key) {
		t.Errorf("the new host is %s, and the old one was %s; they have the same key: %v", after.id, before.id, after.key.Equal(before.key))
	}
	env, err := os.ReadFile("/proc/" + strconv.Itoa(harness.Pid(extract)) + "/environ")
	if err != nil || !strings.Contains(string(env), token(t, dir, "order")) || strings.Contains(string(env), token(t, dir, "cleave-cli")) {
		t.Errorf("the new host hasn't the token of its module, or that of the command, %v", err)
	}

	absorb := s.Start("absorb", "order", "--mesh", "--hold", "500ms")
	if code := absorb.Wait(2 * time.Minute); code != 0 {
		t.Fatalf("absorb: exit code %d:\n%s\n%s", code, absorb.Output(), s.Gateway.Output())
	}
	reads.Stop()
	buyers.Stop()
	t.Log("reads:", reads.Report(), "buyers:", buyers.Report())
	harness.Figure(t, "mesh_move_requests_sent", float64(reads.Sent.Load()+buyers.Sent.Load()), 1e9, "requests")
	harness.Figure(t, "mesh_move_checkouts_sent", float64(buyers.Sent.Load()), 1e9, "checkouts")
	harness.Figure(t, "mesh_move_requests_failed", float64(reads.Failed.Load()+buyers.Failed.Load()), 0, "requests")

	refused(t, s, manager, sku)
}

// refused takes the order module out again, and the intention to call payment away: nothing that a direct call would heed.
func refused(t *testing.T, s *harness.System, manager *api.Client, sku string) {
	t.Helper()
	intend(t, manager, api.IntentionActionDeny)
	if err := buy(t.Context(), t, s, sku); err != nil {
		t.Errorf("modules of one process call each other without an intention, and this failed: %v", err)
	}
	extract := s.Start("extract", "order", "--mesh", "--hold", "250ms")
	t.Cleanup(s.Extracted(extract))
	if code := extract.Wait(2 * time.Minute); code != 0 {
		t.Fatalf("extract: exit code %d:\n%s", code, extract.Output())
	}
	if err := buy(t.Context(), t, s, sku); err == nil {
		t.Error("an order was paid through a payment module that may not be called by the order module")
	}
	harness.Eventually(t, 10*time.Second, "payment says whom it has refused", func() bool {
		return strings.Contains(s.Gateway.Output(), "reason=no_intention source=order destination=payment")
	})
	intend(t, manager, api.IntentionActionAllow)
	harness.Eventually(t, 10*time.Second, "orders are paid again", func() bool { return buy(t.Context(), t, s, sku) == nil })
	tell(t, s)
}

// intend says whether order may call payment, and leaves the other callers as they are.
func intend(t *testing.T, manager *api.Client, action api.IntentionAction) {
	t.Helper()
	have, _, err := manager.ConfigEntries().Get(api.ServiceIntentions, "payment", nil)
	if err != nil {
		t.Fatal(err)
	}
	entry, ok := have.(*api.ServiceIntentionsConfigEntry)
	if !ok {
		t.Fatalf("%T", have)
	}
	changed := false
	for _, src := range entry.Sources {
		if src.Name == "order" {
			src.Action, changed = action, true
		}
	}
	if _, _, err := manager.ConfigEntries().Set(entry, nil); err != nil || !changed {
		t.Fatalf("order is among those who may call payment: %t, %v", changed, err)
	}
}

// instance is where the one instance of a service is.
func instance(t *testing.T, c *api.Client, service string) string {
	t.Helper()
	list, _, err := c.Health().Service(service, "go-micro", true, nil)
	if err != nil || len(list) != 1 {
		t.Fatalf("%s has %d instances that are well, %v", service, len(list), err)
	}
	return net.JoinHostPort(list[0].Service.Address, strconv.Itoa(list[0].Service.Port))
}

// shown is the certificate that a server shows.
type shown struct {
	id  string
	key *ecdsa.PublicKey
}

func leaf(t *testing.T, address string) shown {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	cert := c.(*tls.Conn).ConnectionState().PeerCertificates[0] //nolint:forcetypeassert // as tls.Dialer says
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || len(cert.URIs) != 1 {
		t.Fatalf("%s shows a key of %T, for %v", address, cert.PublicKey, cert.URIs)
	}
	return shown{cert.URIs[0].String(), key}
}

// buy makes a cart and buys it.
func buy(ctx context.Context, t *testing.T, s *harness.System, sku string) error {
	var cart, order struct{ ID, State string }
	items := map[string]any{"items": []any{map[string]any{"sku": sku, "quantity": 1}}}
	if err := fine(s.Do(ctx, http.MethodPost, "/v1/carts", items, &cart)); err != nil {
		return fmt.Errorf("cart: %w", err)
	}
	body := map[string]any{
		"cartId": cart.ID, "email": "ada@example.com", "paymentToken": "tok_visa", "shippingAddress": harness.Address(), "requestId": harness.UUID(t),
	}
	if err := fine(s.Do(ctx, http.MethodPost, "/v1/orders", body, &order)); err != nil {
		return fmt.Errorf("order: %w", err)
	}
	if order.State != "ORDER_STATE_PAID" {
		return fmt.Errorf("the order is %s", order.State)
	}
	return nil
}

func fine(status int, err error) error {
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return err
}
