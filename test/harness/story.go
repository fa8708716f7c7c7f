package harness

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// Money is an amount as the edge shows it: int64 is a string in protobuf JSON.
type Money struct {
	Currency string `json:"currency"`
	Minor    int64  `json:"minor,string"`
}

// Product is the part of a product that the stories look at.
type Product struct {
	ID       string `json:"id"`
	Handle   string `json:"handle"`
	Title    string `json:"title"`
	Variants []struct {
		SKU   string `json:"sku"`
		Price Money  `json:"price"`
	} `json:"variants"`
}

// Stock is the count of one SKU.
type Stock struct {
	OnHand    int64 `json:"onHand,string"`
	Reserved  int64 `json:"reserved,string"`
	Available int64 `json:"available,string"`
}

// Order is the part of an order that the stories look at.
type Order struct {
	ID           string `json:"id"`
	State        string `json:"state"`
	PaymentID    string `json:"paymentId"`
	CancelReason string `json:"cancelReason"`
	Total        Money  `json:"total"`
}

// Problem is a problem document.
type Problem struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Reason  string `json:"reason"`
	Detail  string `json:"detail"`
	TraceID string `json:"trace_id"`
}

type object = map[string]any

// Address is a body for an order's shipping_address.
func Address() map[string]any {
	return object{"name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London", "postalCode": "SW1Y 4JH", "country": "GB"}
}

// InStock returns a product of the sample shop and one of its SKUs that can be bought.
func (c *Client) InStock(t testing.TB) (Product, string, Money, Stock) {
	t.Helper()
	var list struct {
		Products []Product `json:"products"`
	}
	c.Must(t, http.MethodGet, "/v1/products?page_size=500&status=PRODUCT_STATUS_ACTIVE", nil, &list)
	for _, p := range list.Products {
		for _, v := range p.Variants {
			var s Stock
			if status, err := c.Do(t.Context(), http.MethodGet, "/v1/stock/"+v.SKU, nil, &s); err == nil && status == http.StatusOK && s.Available >= 5 {
				return p, v.SKU, v.Price, s
			}
		}
	}
	t.Fatalf("none of the %d products is in stock", len(list.Products))
	return Product{}, "", Money{}, Stock{}
}

// NewCart makes a cart with so many pieces of a SKU, and returns its id.
func (c *Client) NewCart(t testing.TB, sku string, quantity int64) string {
	t.Helper()
	var cart struct {
		ID string `json:"id"`
	}
	c.Must(t, http.MethodPost, "/v1/carts", object{}, &cart)
	c.Must(t, http.MethodPost, "/v1/carts/"+cart.ID+"/items", object{"sku": sku, "quantity": quantity}, nil)
	return cart.ID
}

// PlaceOrder tries to buy a cart.
func (c *Client) PlaceOrder(t testing.TB, cart, token, requestID string) (int, Order, Problem) {
	t.Helper()
	var raw struct {
		Order
		Problem
	}
	body := object{"cartId": cart, "email": "ada@example.com", "paymentToken": token, "shippingAddress": Address(), "requestId": requestID}
	var answer map[string]any
	status, err := c.Do(t.Context(), http.MethodPost, "/v1/orders", body, &answer)
	if err != nil {
		t.Fatalf("place the order: %v", err)
	}
	remarshal(t, answer, &raw.Problem)
	remarshal(t, answer, &raw.Order)
	return status, raw.Order, raw.Problem
}

// Story is what a visitor does: look, choose, buy, look again; then the same with a card that is refused, and with more than there
// is. It ends in the invariants: every piece that was sold is gone, and nothing else is. The visitor is a guest; only the payment is looked
// up with the shop's own key.
func Story(t *testing.T, staff *Client) {
	c := staff.Guest()
	product, sku, price, before := c.InStock(t)
	if status, err := c.Do(t.Context(), http.MethodGet, "/v1/payments", nil, nil); err != nil || status != http.StatusUnauthorized {
		t.Errorf("payments for a guest: status %d, %v", status, err)
	}

	var got Product
	c.Must(t, http.MethodGet, "/v1/products/"+product.ID, nil, &got)
	if got.Handle != product.Handle {
		t.Errorf("product %s is %q, was listed as %q", product.ID, got.Handle, product.Handle)
	}

	cart := c.NewCart(t, sku, 2)
	request := UUID(t)
	status, order, problem := c.PlaceOrder(t, cart, "tok_visa", request)
	if status != http.StatusOK || order.State != "ORDER_STATE_PAID" {
		t.Fatalf("order: status %d, %+v, %+v", status, order, problem)
	}
	if want := 2 * price.Minor; order.Total.Minor != want || order.Total.Currency != price.Currency {
		t.Errorf("total %+v, want %d %s", order.Total, want, price.Currency)
	}
	var read Order
	c.Must(t, http.MethodGet, "/v1/orders/"+order.ID, nil, &read)
	if read != order {
		t.Errorf("read back %+v, placed %+v", read, order)
	}
	if _, again, _ := c.PlaceOrder(t, cart, "tok_visa", request); again.ID != order.ID {
		t.Errorf("the same request made order %q, the first time %q", again.ID, order.ID)
	}
	if status, _, p := c.PlaceOrder(t, cart, "tok_visa", UUID(t)); status != http.StatusUnprocessableEntity {
		t.Errorf("the same cart bought twice: status %d, %+v", status, p)
	}
	var payment struct {
		State  string `json:"state"`
		Amount Money  `json:"amount"`
	}
	staff.Must(t, http.MethodGet, "/v1/payments/"+order.PaymentID, nil, &payment)
	if payment.State != "PAYMENT_STATE_CAPTURED" || payment.Amount != order.Total {
		t.Errorf("payment %+v of an order of %+v", payment, order.Total)
	}

	if status, _, p := c.PlaceOrder(t, c.NewCart(t, sku, 1), "tok_declined", UUID(t)); status != http.StatusUnprocessableEntity || p.Reason != "PAYMENT_DECLINED" {
		t.Errorf("a declined card: status %d, %+v", status, p)
	}
	if status, _, p := c.PlaceOrder(t, c.NewCart(t, sku, min(before.OnHand+1, 10000)), "tok_visa", UUID(t)); status != http.StatusUnprocessableEntity || p.Reason != "OUT_OF_STOCK" {
		t.Errorf("more than there is: status %d, %+v", status, p)
	}

	var after Stock
	c.Must(t, http.MethodGet, "/v1/stock/"+sku, nil, &after)
	if after.OnHand != before.OnHand-2 || after.Reserved != before.Reserved {
		t.Errorf("stock was %+v and is %+v: want two pieces fewer and nothing more reserved", before, after)
	}
	Eventually(t, 10*time.Second, "the cart hears of its order", func() bool {
		var state struct {
			State string `json:"state"`
		}
		s, err := c.Do(context.WithoutCancel(t.Context()), http.MethodGet, "/v1/carts/"+cart, nil, &state)
		return err == nil && s == http.StatusOK && state.State == "CART_STATE_ORDERED"
	})
}
