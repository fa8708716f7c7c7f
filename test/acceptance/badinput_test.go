package acceptance

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/test/harness"
)

// bad is a request that a gateway must refuse with a status of its own.
type bad struct {
	name, method, path, contentType, body string
	want                                  int
}

func badInputs(cart, sku, product string) []bad {
	const js = "application/json"
	items := "/v1/carts/" + cart + "/items"
	const address = `"shippingAddress":{"name":"A","line1":"B","city":"C","country":"GB"}`
	deep := strings.Repeat(`{"items":[`, 5000)
	return []bad{
		{"unknown field", "POST", items, js, `{"sku":"` + sku + `","quantity":1,"colour":"red"}`, 400},
		{"string for a number", "POST", items, js, `{"sku":"` + sku + `","quantity":"many"}`, 400},
		{"number for a string", "POST", items, js, `{"sku":7,"quantity":1}`, 400},
		{"fraction for an integer", "POST", items, js, `{"sku":"` + sku + `","quantity":1.5}`, 400},
		{"array for an object", "POST", items, js, `[]`, 400},
		{"negative quantity", "POST", items, js, `{"sku":"` + sku + `","quantity":-1}`, 400},
		{"zero quantity", "POST", items, js, `{"sku":"` + sku + `","quantity":0}`, 400},
		{"quantity over the limit", "POST", items, js, `{"sku":"` + sku + `","quantity":10001}`, 400},
		{"quantity over 64 bits", "POST", items, js, `{"sku":"` + sku + `","quantity":99999999999999999999}`, 400},
		{"no quantity", "POST", items, js, `{"sku":"` + sku + `"}`, 400},
		{"empty body", "POST", items, js, ``, 400},
		{"not JSON", "POST", items, js, `sku=x`, 400},
		{"two documents", "POST", items, js, `{"sku":"` + sku + `","quantity":1}{}`, 400},
		{"the same key twice", "POST", items, js, `{"sku":"` + sku + `","quantity":1,"quantity":2}`, 400},
		{"cut off", "POST", items, js, `{"sku":"` + sku, 400},
		{"broken UTF-8", "POST", items, js, "{\"sku\":\"\xff\xfe\",\"quantity\":1}", 400},
		{"nested too deep", "POST", "/v1/carts", js, deep, 400},
		{"no content type", "POST", items, "", `{"sku":"` + sku + `","quantity":1}`, 415},
		{"form", "POST", items, "application/x-www-form-urlencoded", `sku=x`, 415},
		{"XML", "POST", items, "text/xml", `<sku/>`, 415},
		{"huge body", "POST", items, js, `{"sku":"` + strings.Repeat("x", 9<<20) + `"}`, 413},
		{"unknown SKU", "POST", items, js, `{"sku":"no-such-sku","quantity":1}`, 404},
		{"unknown cart", "GET", "/v1/carts/0198c0de-0000-7000-8000-000000000000", "", "", 404},
		{"id that isn't one", "GET", "/v1/carts/1%20OR%201=1", "", "", 400},
		{"NUL in an id", "GET", "/v1/carts/%00", "", "", 400},
		{"broken UTF-8 in a path", "GET", "/v1/variants/%ff%fe", "", "", 400},
		{"unknown route", "GET", "/v1/nothing", "", "", 404},
		{"no such module", "GET", "/v2/products", "", "", 404},
		{"path out of the tree", "GET", "/v1/../../etc/passwd", "", "", 404},
		{"wrong method", "DELETE", "/v1/products", "", "", 405},
		{"method that isn't one", "BREW", "/v1/products", "", "", 405},
		{"unknown parameter", "GET", "/v1/products?colour=red", "", "", 400},
		{"page size below 0", "GET", "/v1/products?page_size=-1", "", "", 400},
		{"page size over the limit", "GET", "/v1/products?page_size=501", "", "", 400},
		{"page size that isn't a number", "GET", "/v1/products?page_size=ten", "", "", 400},
		{"page token of ours it isn't", "GET", "/v1/products?page_token=AAAA", "", "", 400},
		{"enum that isn't one", "GET", "/v1/products?status=SOLD", "", "", 400},
		{"search for nothing", "GET", "/v1/products:search", "", "", 400},
		{"search for too much", "GET", "/v1/products:search?query=" + strings.Repeat("x", 201), "", "", 400},
		{"price below 0", "POST", "/v1/products", js, `{"handle":"x","title":"X","variants":[{"sku":"x-1","price":{"currency":"USD","minor":"-5"}}]}`, 400},
		{"price as a fraction", "POST", "/v1/products", js, `{"handle":"x","title":"X","variants":[{"sku":"x-1","price":{"currency":"USD","minor":19.99}}]}`, 400},
		{"no currency", "POST", "/v1/products", js, `{"handle":"x","title":"X","variants":[{"sku":"x-1","price":{"minor":"5"}}]}`, 400},
		{"no variants", "POST", "/v1/products", js, `{"handle":"x","title":"X"}`, 400},
		{"handle that is taken", "POST", "/v1/products", js, `{"handle":"` + product + `","title":"X","variants":[{"sku":"x-1","price":{"currency":"USD","minor":"5"}}]}`, 409},
		{"mask with no such field", "PATCH", "/v1/products/0198c0de-0000-7000-8000-000000000000?update_mask=colour", js, `{"title":"X"}`, 400},
		{"stock below 0", "PUT", "/v1/stock/" + sku, js, `{"onHand":"-1"}`, 400},
		{"order without an address", "POST", "/v1/orders", js, `{"cartId":"` + cart + `","email":"a@example.com","paymentToken":"tok_visa"}`, 400},
		{"order with a card number", "POST", "/v1/orders", js, `{"cartId":"` + cart + `","email":"a@example.com","paymentToken":"4242424242424242"}`, 400},
		{"order in another currency than expected", "POST", "/v1/orders", js, `{"cartId":"` + cart + `","email":"a@example.com","paymentToken":"tok_visa",` + address + `,"expectedTotal":{"currency":"JPY","minor":"1"}}`, 422},
		{"refund of an order that isn't", "POST", "/v1/orders/0198c0de-0000-7000-8000-000000000000:refund", js, `{}`, 404},
		{"refund below 0", "POST", "/v1/orders/0198c0de-0000-7000-8000-000000000000:refund", js, `{"amount":{"currency":"EUR","minor":"-1"}}`, 400},
		{"coupon that is more than all", "POST", "/v1/coupons", js, `{"code":"ALL","basisPoints":10001}`, 400},
		{"coupon of nothing", "POST", "/v1/coupons", js, `{"code":"NOTHING"}`, 400},
		{"parcel for nobody", "POST", "/v1/fulfilments/0198c0de-0000-7000-8000-000000000000/shipments", js, `{}`, 404},
		{"password that is short", "POST", "/v1/customers", js, `{"email":"a@example.com","password":"short","name":"A"}`, 400},
		{"login of nobody", "POST", "/v1/customers:login", js, `{"email":"nobody@example.com","password":"a wrong password"}`, 401},
		{"webhook into this machine", "POST", "/v1/webhook-endpoints", js, `{"url":"http://127.0.0.1:22/"}`, 400},
		{"event that no provider signed", "POST", "/v1/payments/webhooks/test", "text/plain", "\xff", 403},
		{"event of no provider", "POST", "/v1/payments/webhooks/nobody", "text/plain", "x", 404},
		{"header over the limit", "GET", "/v1/products", "", "header", 431},
	}
}

func TestBadInputIsRefused(t *testing.T) {
	s := harness.OneProcess(t, binary.Build(t), nil)
	product, sku, _, _ := s.InStock(t)
	cart := s.NewCart(t, sku, 1)
	cases := badInputs(cart, sku, product.Handle)
	wrong := 0
	for _, c := range cases {
		ok := t.Run(c.name, func(t *testing.T) { refused(t, s.Client, c) })
		if !ok {
			wrong++
		}
	}
	if s.Gateway.Exited() {
		t.Fatal("the process died")
	}
	harness.Story(t, s.Client)
	harness.Figure(t, "bad_inputs_answered_wrongly", float64(wrong), 0, "requests")
	t.Logf("%d bad inputs", len(cases))
}

func refused(t *testing.T, client *harness.Client, c bad) {
	header := ""
	if c.body == "header" {
		header, c.body = strings.Repeat("x", 128<<10), ""
	}
	req, err := http.NewRequestWithContext(t.Context(), c.method, client.Base+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	if header != "" {
		req.Header.Set("X-Padding", header)
	}
	var raw []byte
	status, err := client.Send(req, &raw)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if status != c.want {
		t.Fatalf("status %d, want %d: %.300s", status, c.want, raw)
	}
	var p harness.Problem
	if err := harness.Decode(raw, &p); err != nil {
		t.Fatalf("not a problem document: %.300s", raw)
	}
	if p.Status != status || p.TraceID == "" || p.Code == "" || p.Detail == "" {
		t.Errorf("the problem document lacks something: %s", raw)
	}
}
