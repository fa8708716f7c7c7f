package harness

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// After is what becomes of an order once it is paid: with a coupon that is used up by it, packed and shipped, delivered, one piece sent
// back and paid back, the rest refunded; a mail about it; and another order that is cancelled. It ends in the invariants: every piece is
// where it should be, and so is every cent.
func After(t *testing.T, c *Client) {
	_, sku, price, before := c.InStock(t)
	coupon := "ONCE-" + strings.ToUpper(UUID(t)[24:]) // its beginning is the time
	c.Must(t, http.MethodPost, "/v1/coupons", object{"code": coupon, "basisPoints": 1000, "usageLimit": 1}, nil)

	order := c.buy(t, sku, 2, coupon)
	if off := order.Subtotal.Minor - order.Total.Minor; order.Subtotal.Minor != 2*price.Minor || off < price.Minor*2/10 || off > price.Minor*2/10+1 {
		t.Errorf("a tenth off %d of 2 x %d: %+v", order.Subtotal.Minor, price.Minor, order)
	}
	body := c.orderOf(t, c.NewCart(t, sku, 1), coupon)
	if status, reason := c.refused(t, "/v1/orders", body); status != http.StatusUnprocessableEntity || reason != "COUPON_EXHAUSTED" {
		t.Errorf("a coupon that was used up: status %d, %s", status, reason)
	}

	c.until(t, "fulfilment hears of the order", "/v1/fulfilments/"+order.ID, func(string) bool { return true })
	var shipment, back struct {
		ID string `json:"id"`
	}
	c.Must(t, http.MethodPost, "/v1/fulfilments/"+order.ID+"/shipments", object{}, &shipment)
	c.Must(t, http.MethodPost, "/v1/shipments/"+shipment.ID+":ship", object{"carrier": "DHL", "trackingNumber": "1234"}, nil)
	c.state(t, order.ID, "ORDER_STATE_SHIPPED")
	if status, reason := c.refused(t, "/v1/orders/"+order.ID+":cancel", object{}); status != http.StatusUnprocessableEntity {
		t.Errorf("cancelling what was shipped: status %d, %s", status, reason)
	}
	c.Must(t, http.MethodPost, "/v1/shipments/"+shipment.ID+":deliver", object{}, nil)
	c.state(t, order.ID, "ORDER_STATE_DELIVERED")
	line := object{"sku": sku, "quantity": 1}
	c.Must(t, http.MethodPost, "/v1/fulfilments/"+order.ID+"/returns", object{"lines": []any{line}, "reason": "too many"}, &back)
	c.Must(t, http.MethodPost, "/v1/returns/"+back.ID+":receive", object{"restock": true}, nil)
	c.state(t, order.ID, "ORDER_STATE_PARTIALLY_REFUNDED")
	c.Must(t, http.MethodPost, "/v1/orders/"+order.ID+":refund", object{"reason": "kindness", "requestId": UUID(t)}, nil)
	if got := c.state(t, order.ID, "ORDER_STATE_REFUNDED"); got.Refunded != order.Total || got.Captured != order.Total {
		t.Errorf("captured %+v, refunded %+v of %+v", got.Captured, got.Refunded, order.Total)
	}
	c.until(t, "the mail is written", "/v1/notifications?page_size=500", func(text string) bool { return strings.Contains(text, "order_confirmed") })

	other := c.buy(t, sku, 1, "")
	c.Must(t, http.MethodPost, "/v1/orders/"+other.ID+":cancel", object{}, nil)
	if got := c.state(t, other.ID, "ORDER_STATE_CANCELLED"); got.Refunded != got.Captured {
		t.Errorf("cancelled, with %+v captured and %+v paid back", got.Captured, got.Refunded)
	}
	Eventually(t, 20*time.Second, "one piece is sold, and the others are back", func() bool {
		var after Stock
		status, err := c.Do(t.Context(), http.MethodGet, "/v1/stock/"+sku, nil, &after)
		return err == nil && status == http.StatusOK && after.OnHand == before.OnHand-1 && after.Reserved == before.Reserved
	})
}

// sold is the part of an order that After looks at.
type sold struct {
	Order
	Subtotal Money `json:"subtotal"`
	Captured Money `json:"captured"`
	Refunded Money `json:"refunded"`
}

func (c *Client) orderOf(t testing.TB, cart, coupon string) object {
	return object{
		"cartId": cart, "email": "ada@example.com", "paymentToken": "tok_visa", "shippingAddress": Address(), "requestId": UUID(t), "couponCode": coupon,
	}
}

func (c *Client) buy(t testing.TB, sku string, quantity int64, coupon string) sold {
	t.Helper()
	var o sold
	c.Must(t, http.MethodPost, "/v1/orders", c.orderOf(t, c.NewCart(t, sku, quantity), coupon), &o)
	if o.State != "ORDER_STATE_PAID" {
		t.Fatalf("the order is %+v", o)
	}
	return o
}

// refused sends what has to be refused, and returns the status and the reason.
func (c *Client) refused(t testing.TB, path string, body object) (int, string) {
	t.Helper()
	var p Problem
	status, err := c.Do(t.Context(), http.MethodPost, path, body, &p)
	if err != nil {
		t.Fatal(err)
	}
	return status, p.Reason
}

// state waits until an order is in a state, and nothing of it is still to be done.
func (c *Client) state(t testing.TB, id, want string) sold {
	t.Helper()
	var o struct {
		sold
		Unfinished bool `json:"unfinished"`
	}
	Eventually(t, 20*time.Second, "the order is "+want, func() bool {
		status, err := c.Do(t.Context(), http.MethodGet, "/v1/orders/"+id, nil, &o)
		return err == nil && status == http.StatusOK && o.State == want && !o.Unfinished
	})
	return o.sold
}

// until waits until a path answers 200 with what is looked for.
func (c *Client) until(t testing.TB, what, path string, ok func(text string) bool) {
	t.Helper()
	Eventually(t, 20*time.Second, what, func() bool {
		var raw []byte
		status, err := c.Do(t.Context(), http.MethodGet, path, nil, &raw)
		return err == nil && status == http.StatusOK && ok(string(raw))
	})
}
