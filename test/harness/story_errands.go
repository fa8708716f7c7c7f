package harness

import (
	"net/http"
	"strings"
	"testing"
)

// Errands are the commands that the other stories have no use for, as the shop's people and a visitor who can't decide give them: each
// has to be done once, however often it arrives.
func Errands(t *testing.T, c *Client) {
	name := strings.ToLower(UUID(t)[24:]) // its beginning is the time
	sku := c.newProduct(t, name)

	c.Must(t, http.MethodPut, "/v1/stock/"+sku, object{"onHand": 10}, nil)
	c.Must(t, http.MethodPost, "/v1/stock/"+sku+":adjust", object{"delta": 5}, nil)
	var stock Stock
	c.Must(t, http.MethodGet, "/v1/stock/"+sku, nil, &stock)
	if stock.OnHand != 15 || stock.Available != 15 {
		t.Errorf("10 pieces and 5 more are %+v", stock)
	}

	var price struct {
		ID     string `json:"id"`
		Amount Money  `json:"amount"`
	}
	c.Must(t, http.MethodPost, "/v1/prices", object{"sku": sku, "amount": object{"currency": "EUR", "minor": 700}}, &price)
	c.Must(t, http.MethodPatch, "/v1/prices/"+price.ID+"?update_mask=amount", object{"amount": object{"currency": "EUR", "minor": 800}}, &price)
	if price.Amount.Minor != 800 {
		t.Errorf("the price is %+v", price)
	}
	var prices struct {
		Prices []struct{} `json:"prices"`
	}
	c.Must(t, http.MethodGet, "/v1/prices?sku="+sku, nil, &prices)
	if len(prices.Prices) != 1 {
		t.Errorf("there are %d prices of %s", len(prices.Prices), sku)
	}

	c.Must(t, http.MethodPost, "/v1/taxRates", object{"country": "IS", "basisPoints": 2400}, nil)
	c.Must(t, http.MethodPatch, "/v1/taxRates/IS?update_mask=basis_points", object{"basisPoints": 1100}, nil)
	c.Must(t, http.MethodDelete, "/v1/taxRates/IS", nil, nil)

	coupon := "TENTH-" + strings.ToUpper(name)
	c.Must(t, http.MethodPost, "/v1/coupons", object{"code": coupon, "basisPoints": 500}, nil)
	c.Must(t, http.MethodPatch, "/v1/coupons/"+coupon+"?update_mask=basis_points", object{"basisPoints": 1000}, nil)

	c.choose(t, sku, coupon)

	c.Must(t, http.MethodDelete, "/v1/coupons/"+coupon, nil, nil)
	c.Must(t, http.MethodDelete, "/v1/prices/"+price.ID, nil, nil)
}

// newProduct makes a category and a product in it, changes its title, and returns its SKU.
func (c *Client) newProduct(t *testing.T, name string) string {
	t.Helper()
	sku := "ERRAND-" + strings.ToUpper(name)
	c.Must(t, http.MethodPost, "/v1/categories", object{"slug": "errand-" + name, "title": "Errands"}, nil)
	var product Product
	c.Must(t, http.MethodPost, "/v1/products", object{
		"handle": "errand-" + name, "title": "Errand", "category": "errand-" + name, "status": "PRODUCT_STATUS_ACTIVE",
		"variants": []any{object{"sku": sku, "price": object{"currency": "EUR", "minor": 900}}},
	}, &product)
	c.Must(t, http.MethodPatch, "/v1/products/"+product.ID+"?update_mask=title", object{"title": "An errand"}, nil)
	c.Must(t, http.MethodGet, "/v1/products/"+product.ID, nil, &product)
	if product.Title != "An errand" {
		t.Errorf("the product is %+v", product)
	}
	return sku
}

// choose fills a cart as someone does who can't decide.
func (c *Client) choose(t *testing.T, sku, coupon string) {
	t.Helper()
	_, other, _, _ := c.InStock(t)
	cart := c.NewCart(t, sku, 2)
	c.Must(t, http.MethodPost, "/v1/carts/"+cart+"/items", object{"sku": sku, "quantity": 1}, nil)
	c.Must(t, http.MethodPatch, "/v1/carts/"+cart+"/items/"+sku, object{"quantity": 4}, nil)
	c.Must(t, http.MethodPost, "/v1/carts/"+cart+"/items", object{"sku": sku, "quantity": 2}, nil)
	c.Must(t, http.MethodPost, "/v1/carts/"+cart+"/items", object{"sku": other, "quantity": 1}, nil)
	c.Must(t, http.MethodDelete, "/v1/carts/"+cart+"/items/"+other, nil, nil)
	c.Must(t, http.MethodPut, "/v1/carts/"+cart+"/coupon", object{"couponCode": coupon}, nil)
	c.Must(t, http.MethodPost, "/v1/carts/"+cart+":requote", object{}, nil)
	var got struct {
		CouponCode string `json:"couponCode"`
		Items      []struct {
			SKU      string `json:"sku"`
			Quantity int64  `json:"quantity,string"`
		} `json:"items"`
	}
	c.Must(t, http.MethodGet, "/v1/carts/"+cart, nil, &got)
	if len(got.Items) != 1 || got.Items[0].SKU != sku || got.Items[0].Quantity != 6 || got.CouponCode != coupon {
		t.Errorf("the cart has %+v, want 6 of %s and the coupon %s", got, sku, coupon)
	}
}
