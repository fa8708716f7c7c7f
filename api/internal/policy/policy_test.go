package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleavehq/cleave/api/internal/policy"
	"github.com/cleavehq/cleave/api/internal/prototest"
	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	fulfilmentv1 "github.com/cleavehq/cleave/proto/shop/fulfilment/v1"
	inventoryv1 "github.com/cleavehq/cleave/proto/shop/inventory/v1"
	notificationv1 "github.com/cleavehq/cleave/proto/shop/notification/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	pricingv1 "github.com/cleavehq/cleave/proto/shop/pricing/v1"
	webhookv1 "github.com/cleavehq/cleave/proto/shop/webhook/v1"
)

func method(t *testing.T, options string) protoreflect.MethodDescriptor {
	t.Helper()
	return prototest.New(t).Message("M", "string id").Service("S", "Get M M "+options).Build().Services().Get(0).Methods().Get(0)
}

func TestNothingIsExposedByItself(t *testing.T) {
	p, err := policy.Overrides{}.Of(method(t, ""))
	if err != nil || p.Method != "test.v1.S/Get" || p.Expose.Value || p.Access.Value.Public || p.Expose.From != policy.Default || p.Access.From != policy.Default {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestTheNearestDecides(t *testing.T) {
	md := method(t, `idempotency_level:NO_SIDE_EFFECTS [cleave.v1.method]{expose:true scopes:"a.read" timeout:{seconds:2} rate:{requests:5} cache:{max_age:{seconds:3}}}`)
	p, err := policy.Overrides{}.Of(md)
	if err != nil || !p.Expose.Value || !slices.Equal(p.Access.Value.Scopes, []string{"a.read"}) || p.Access.From != policy.Method ||
		p.Timeout.Value != policy.Duration(2*time.Second) || !slices.Equal(p.Rate.Value, policy.Rates{{Requests: 5, Per: policy.Duration(time.Second), Scope: policy.Caller}}) ||
		p.Cache.Value.MaxAge != policy.Duration(3*time.Second) || p.Idempotency != "NO_SIDE_EFFECTS" {
		t.Errorf("%+v, %v", p, err)
	}
	said, bad := policy.Overrides{}.Next(map[string][]byte{
		"test.v1.S/*":   []byte(`{"timeout":"1s","rate":{"requests":1,"per":"1m"}}`),
		"test.v1.S/Get": []byte(`{"public":true,"timeout":"5s"}`),
		"test.v1.T/Get": []byte(`{"expose":false}`),
	})
	if len(bad) != 0 {
		t.Fatal(bad)
	}
	p, err = said.Of(md)
	if err != nil || !p.Access.Value.Public || len(p.Access.Value.Scopes) != 0 || p.Access.From != "operator: test.v1.S/Get" ||
		p.Timeout.Value != policy.Duration(5*time.Second) || p.Rate.From != "operator: test.v1.S/*" || p.Cache.From != policy.Method || !p.Expose.Value {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestTraffic(t *testing.T) {
	md := method(t, `idempotency_level:NO_SIDE_EFFECTS [cleave.v1.method]{rate:{requests:5} rates:{requests:50 scope:RATE_SCOPE_ROUTE} `+
		`mirror:{version:"v2" percent:5}}`)
	p, err := policy.Overrides{}.Of(md)
	if err != nil || p.Mirror.Value != (policy.Mirror{Version: "v2", Percent: 5}) ||
		len(p.Rate.Value) != 2 || p.Rate.Value[1].Scope != policy.Route {
		t.Errorf("%+v, %v", p, err)
	}
	said, bad := policy.Overrides{}.Next(map[string][]byte{
		"test.v1.S/*": []byte(`{"rate":[{"requests":1,"per":"1m","scope":"tenant"},{"requests":2,"per":"1m"}],"mirror":{}}`),
	})
	if len(bad) != 0 {
		t.Fatal(bad)
	}
	p, err = said.Of(md)
	if err != nil || p.Mirror.Value != (policy.Mirror{}) || len(p.Rate.Value) != 2 || p.Rate.Value[0].Scope != policy.Tenant ||
		p.Rate.Value[1].Scope != policy.Caller {
		t.Errorf("%+v, %v", p, err)
	}
	if none, _ := (policy.Overrides{}).Next(map[string][]byte{"test.v1.S/*": []byte(`{"rate":{}}`)}); true {
		if p, err := none.Of(md); err != nil || len(p.Rate.Value) != 0 {
			t.Errorf("without a rate: %+v, %v", p, err)
		}
	}
	// What a service says of caches and mirrors is for those of its methods that it fits.
	unsafe, _ := policy.Overrides{}.Next(map[string][]byte{"test.v1.S/*": []byte(`{"mirror":{"version":"v2","percent":5},"cache":{"max_age":"1s"}}`)})
	if p, err := unsafe.Of(method(t, "")); err != nil || p.Mirror.Value.Percent != 0 || p.Cache.Value.MaxAge != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestWhatAContractCantSay(t *testing.T) {
	for what, options := range map[string]string{
		"public":  `{public:true scopes:"a"}`,
		"timeout": `{timeout:{seconds:601}}`,
		"rate":    `{rate:{requests:-1}}`,
		"per":     `{rate:{requests:1 per:{nanos:1}}}`,
		"scope":   `{scopes:"catalog.*"}`,
		"cache":   `{cache:{max_age:{seconds:5}}}`, // not NO_SIDE_EFFECTS
		"two":     `{rate:{requests:1} rates:{requests:2 scope:RATE_SCOPE_CALLER}}`,
		"nobody":  `{mirror:{percent:5}}`,
		"all":     `{mirror:{version:"v2" percent:101}}`,
		"mirror":  `{mirror:{version:"v2" percent:1}}`, // not NO_SIDE_EFFECTS
		"age":     `{cache:{stale_while_revalidate:{seconds:5}}}`,
	} {
		if _, err := (policy.Overrides{}).Of(method(t, "[cleave.v1.method]"+options)); err == nil {
			t.Errorf("%s: %s was taken", what, options)
		}
	}
}

func TestABadOverrideChangesNothing(t *testing.T) {
	good, bad := policy.Overrides{}.Next(map[string][]byte{"test.v1.S/Get": []byte(`{"expose":true}`)})
	if len(bad) != 0 || !slices.Equal(good.Keys(), []string{"test.v1.S/Get"}) {
		t.Fatal(good, bad)
	}
	for what, document := range map[string]string{
		"empty": ``, "not JSON": `{`, "null": `null`, "a number": `1`, "unknown": `{"exposed":true}`, "two": `{} {}`, "timeout": `{"timeout":"soon"}`,
		"large": `{"scopes":["` + strings.Repeat("x", 5000) + `"]}`, "both": `{"public":true,"scopes":["a"]}`, "no rate": `{"rate":{"requests":0,"per":"1s"}}`,
		"nobody's": `{"rate":[{"requests":1,"per":"1s","scope":"world"}]}`, "a field": `{"rate":{"request":1}}`, "twice": `{"rate":[{"requests":1,"per":"1s"},{"requests":2,"per":"1s"}]}`,
		"nowhere": `{"mirror":{"percent":1}}`, "none": `{"mirror":{"version":"v2","percent":0}}`,
	} {
		next, bad := good.Next(map[string][]byte{"test.v1.S/Get": []byte(document)})
		if bad["test.v1.S/Get"] == nil || !next.Same(good) {
			t.Errorf("%s: %v, %v", what, next.Keys(), bad)
		}
	}
	for _, key := range []string{"", "Get", "a/b/c", "S/Get x", "test.v1.*/Get", "/Get", "test.v1.S/"} {
		if policy.Check(key, []byte(`{"expose":true}`)) == nil {
			t.Errorf("the key %q was taken", key)
		}
	}
	if gone, _ := good.Next(nil); gone.Same(good) || len(gone.Keys()) != 0 {
		t.Error("an override that was taken back stays")
	}
}

func TestGrants(t *testing.T) {
	for _, tc := range []struct {
		grants string
		scope  string
		want   bool
	}{
		{"a.read", "a.read", true}, {"a.*", "a.read", true}, {"*", "a.read", true}, {"b.read a.read", "a.read", true}, {"a.*", "a.b.c", true},
		{"", "a.read", false}, {"a", "a.read", false}, {"a.rea*", "a.read", false}, {"a.*", "ab.read", false}, {"a.*", "a", false}, {"A.read", "a.read", false},
	} {
		if got := policy.Grants(strings.Fields(tc.grants), tc.scope); got != tc.want {
			t.Errorf("%q grants %q: %t", tc.grants, tc.scope, got)
		}
	}
	if m := (policy.Access{Scopes: []string{"a", "b"}}).Missing([]string{"a"}); m != "b" {
		t.Errorf("%q is missing", m)
	}
}

// What each module's contract offers, so that nobody offers more without seeing it here.
func TestTheShopOffersThisToEverybody(t *testing.T) {
	want := strings.Fields(`
		shop.cart.v1.Cart/AddItem shop.cart.v1.Cart/CreateCart shop.cart.v1.Cart/GetCart shop.cart.v1.Cart/RemoveItem shop.cart.v1.Cart/RequoteCart
		shop.cart.v1.Cart/SetCoupon shop.cart.v1.Cart/UpdateItem
		shop.catalog.v1.Catalog/ExportProducts shop.catalog.v1.Catalog/GetCategory shop.catalog.v1.Catalog/GetProduct shop.catalog.v1.Catalog/GetVariant
		shop.catalog.v1.Catalog/ListCategories shop.catalog.v1.Catalog/ListProducts shop.catalog.v1.Catalog/SearchProducts
		shop.customer.v1.Customer/GetKeys shop.customer.v1.Customer/Login shop.customer.v1.Customer/Logout shop.customer.v1.Customer/RefreshSession
		shop.customer.v1.Customer/RegisterCustomer shop.customer.v1.Customer/RequestPasswordReset shop.customer.v1.Customer/ResetPassword
		shop.customer.v1.Customer/VerifyEmail
		shop.inventory.v1.Inventory/GetStock shop.order.v1.Order/CreateOrder shop.order.v1.Order/GetOrder shop.order.v1.Order/WatchOrder shop.payment.v1.Payment/HandleWebhook
		shop.pricing.v1.Pricing/CreateQuote shop.pricing.v1.Pricing/GetQuote`)
	hidden := strings.Fields(`
		shop.customer.v1.Customer/AppointAdmin shop.customer.v1.Customer/GetContact shop.customer.v1.Customer/RotateKeys
		shop.inventory.v1.Inventory/Commit shop.inventory.v1.Inventory/Release shop.inventory.v1.Inventory/Reserve
		shop.payment.v1.Payment/Authorize shop.payment.v1.Payment/Capture shop.payment.v1.Payment/ListDiscrepancies shop.payment.v1.Payment/Refund
		shop.payment.v1.Payment/Resolve shop.payment.v1.Payment/Void
		shop.pricing.v1.Pricing/CommitRedemption shop.pricing.v1.Pricing/LookUpPrices shop.pricing.v1.Pricing/RedeemCoupon
		shop.pricing.v1.Pricing/ReleaseRedemption`)
	var public, inside []string
	for _, fd := range []protoreflect.FileDescriptor{
		cartv1.File_shop_cart_v1_cart_proto, catalogv1.File_shop_catalog_v1_catalog_proto, customerv1.File_shop_customer_v1_customer_proto,
		fulfilmentv1.File_shop_fulfilment_v1_fulfilment_proto, inventoryv1.File_shop_inventory_v1_inventory_proto,
		notificationv1.File_shop_notification_v1_notification_proto, orderv1.File_shop_order_v1_order_proto,
		paymentv1.File_shop_payment_v1_payment_proto, pricingv1.File_shop_pricing_v1_pricing_proto, webhookv1.File_shop_webhook_v1_webhook_proto,
	} {
		methods := fd.Services().Get(0).Methods()
		for i := range methods.Len() {
			p, err := policy.Overrides{}.Of(methods.Get(i))
			if err != nil {
				t.Error(err)
			}
			switch {
			case !p.Expose.Value:
				inside = append(inside, p.Method)
			case p.Access.Value.Public:
				public = append(public, p.Method)
			}
		}
	}
	slices.Sort(public)
	slices.Sort(inside)
	if !slices.Equal(public, want) {
		t.Errorf("public: %q", public)
	}
	if !slices.Equal(inside, hidden) {
		t.Errorf("not offered: %q", inside)
	}
}
