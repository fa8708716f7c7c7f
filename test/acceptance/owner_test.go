package acceptance

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite" // the customers' database

	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	"github.com/cleavehq/cleave/test/harness"
)

// buyer is a customer who is logged in.
type buyer struct {
	id, token string
	s         *harness.System
}

// login makes an account, with the token that would have been mailed, and opens a session.
func login(t *testing.T, s *harness.System, name string) *buyer {
	t.Helper()
	who := map[string]any{"email": name + "-" + harness.UUID(t) + "@example.com", "password": "correct horse " + name, "name": name}
	guest := s.Guest()
	guest.Must(t, http.MethodPost, "/v1/customers", who, nil)
	var mailed string
	harness.Eventually(t, 20*time.Second, "the token is written", func() bool {
		mailed = verification(t, filepath.Join(s.DataDir(), "customer.db"), who["email"].(string)) //nolint:forcetypeassert // made above
		return mailed != ""
	})
	var account struct{ ID string }
	guest.Must(t, http.MethodPost, "/v1/customers:verifyEmail", map[string]any{"token": mailed}, &account)
	var session struct{ CustomerID, AccessToken string }
	guest.Must(t, http.MethodPost, "/v1/customers:login", map[string]any{"email": who["email"], "password": who["password"]}, &session)
	if session.CustomerID == "" || session.CustomerID != account.ID {
		t.Fatalf("%+v of the account %+v", session, account)
	}
	return &buyer{session.CustomerID, session.AccessToken, s}
}

// verification is the token that an event of the customers' outbox has for an address.
func verification(t *testing.T, file, email string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(context.Background(), `SELECT body FROM outbox WHERE topic = 'shop.customer.v1.CustomerRegistered'`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var body []byte
		var e customerv1.CustomerRegistered
		if err := rows.Scan(&body); err != nil {
			t.Fatal(err)
		}
		if err := proto.Unmarshal(body, &e); err == nil && e.GetEmail() == email {
			return e.GetVerificationToken()
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ""
}

// do sends a request with the buyer's token, and returns the status; a guest's when b is nil.
func (b *buyer) do(t *testing.T, method, path string, body, out any) int {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, b.s.Base+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if body == nil {
		req.Body, req.ContentLength = http.NoBody, 0
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	if b.token != "" {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	status, err := b.s.Guest().Send(req, out)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// TestEachHasTheirOwn: a customer's cart and orders are for the customer and for the shop's people, through the whole of it.
func TestEachHasTheirOwn(t *testing.T) {
	type object = map[string]any
	s := harness.OneProcess(t, binary.Build(t), nil)
	ada, bob, guest := login(t, s, "ada"), login(t, s, "bob"), &buyer{s: s}
	_, sku, _, _ := s.InStock(t)
	var cart, order struct{ ID, CustomerID, State string }
	if status := ada.do(t, http.MethodPost, "/v1/carts", object{"customerId": ada.id, "items": []any{object{"sku": sku, "quantity": 1}}}, &cart); status != http.StatusOK || cart.CustomerID != ada.id {
		t.Fatalf("%d %+v", status, cart)
	}
	buy := func(cart string) object {
		return object{"cartId": cart, "email": "ada@example.com", "paymentToken": "tok_visa", "requestId": harness.UUID(t), "shippingAddress": harness.Address()}
	}
	for who, other := range map[string]*buyer{"another customer": bob, "a guest": guest} {
		for what, want := range map[string]int{
			"GET /v1/carts/" + cart.ID: 404, "DELETE /v1/carts/" + cart.ID + "/items/" + sku: 404, "GET /v1/carts/by-customer/" + ada.id: 403,
		} {
			method, path, _ := bytes.Cut([]byte(what), []byte(" "))
			if other == guest && want == http.StatusForbidden {
				want = http.StatusUnauthorized
			}
			if got := other.do(t, string(method), string(path), nil, nil); got != want {
				t.Errorf("%s: %s: %d, want %d", who, what, got, want)
			}
		}
		if got := other.do(t, http.MethodPost, "/v1/carts", object{"customerId": ada.id}, nil); got != http.StatusForbidden {
			t.Errorf("%s makes a cart of hers: %d", who, got)
		}
		if got := other.do(t, http.MethodPost, "/v1/orders", buy(cart.ID), nil); got != http.StatusNotFound {
			t.Errorf("%s buys her cart: %d", who, got)
		}
	}
	if status := ada.do(t, http.MethodPost, "/v1/orders", buy(cart.ID), &order); status != http.StatusOK || order.CustomerID != ada.id {
		t.Fatalf("%d %+v", status, order)
	}
	for who, other := range map[string]*buyer{"another customer": bob, "a guest": guest} {
		known := map[bool]int{true: http.StatusForbidden, false: http.StatusUnauthorized}[other == bob]
		cancel := map[bool]int{true: http.StatusNotFound, false: http.StatusUnauthorized}[other == bob]
		if got := other.do(t, http.MethodGet, "/v1/orders/"+order.ID, nil, nil); got != http.StatusNotFound {
			t.Errorf("%s reads her order: %d", who, got)
		}
		if got := other.do(t, http.MethodGet, "/v1/customers/"+ada.id+"/orders", nil, nil); got != known {
			t.Errorf("%s lists her orders: %d", who, got)
		}
		if got := other.do(t, http.MethodPost, "/v1/orders/"+order.ID+":cancel", object{}, nil); got != cancel {
			t.Errorf("%s calls her order off: %d", who, got)
		}
	}
	var mine struct{ Orders []struct{ ID string } }
	for _, path := range []string{"/v1/customers/me/orders", "/v1/customers/" + ada.id + "/orders"} {
		if status := ada.do(t, http.MethodGet, path, nil, &mine); status != http.StatusOK || len(mine.Orders) != 1 || mine.Orders[0].ID != order.ID {
			t.Errorf("%s: %d %+v", path, status, mine)
		}
	}
	s.Must(t, http.MethodGet, "/v1/customers/"+ada.id+"/orders", nil, &mine) // the shop's people
	if status := ada.do(t, http.MethodPost, "/v1/orders/"+order.ID+":cancel", object{}, &order); status != http.StatusOK || order.State != "ORDER_STATE_CANCELLED" {
		t.Errorf("her own: %d %+v", status, order)
	}
}
