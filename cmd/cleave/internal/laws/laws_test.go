package laws

import (
	"context"
	"database/sql"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/chassis/verify"
	"github.com/cleavehq/cleave/services/cart"
	"github.com/cleavehq/cleave/services/fulfilment"
	"github.com/cleavehq/cleave/services/inventory"
	"github.com/cleavehq/cleave/services/order"
	"github.com/cleavehq/cleave/services/payment"
	"github.com/cleavehq/cleave/services/payment/testprovider"
	"github.com/cleavehq/cleave/services/pricing"
)

// shop is the databases of the modules that the laws look at, by name.
type shop map[string]*sql.DB

func modules() []host.Module {
	return []host.Module{inventory.Module(), pricing.Module(), payment.Module(payment.Config{}), cart.Module(), order.Module(), fulfilment.Module()}
}

func open(t *testing.T, url string) shop {
	t.Helper()
	return made(t, url, t.TempDir())
}

func made(t *testing.T, url, dir string) shop {
	t.Helper()
	s := shop{}
	p, err := testprovider.Open(t.Context(), testprovider.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	confs := []data.Config{{Dir: dir, Module: bank}}
	for _, m := range modules() {
		confs = append(confs, data.Config{URL: url, Dir: dir, Module: m.Name, Migrations: m.Migrations})
	}
	for _, c := range confs {
		db, err := data.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		s[c.Module] = db
	}
	return s
}

// again opens a copy of a shop.
func again(t *testing.T, template string) shop {
	t.Helper()
	s, dir := shop{}, t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(template)); err != nil {
		t.Fatal(err)
	}
	names := []string{bank}
	for _, m := range modules() {
		names = append(names, m.Name)
	}
	for _, name := range names {
		db, err := data.Open(t.Context(), data.Config{Dir: dir, Module: name})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		s[name] = db
	}
	return s
}

// exec runs statements, "MODULE: SQL;" one after the other.
func (s shop) exec(t *testing.T, script string) {
	t.Helper()
	for part := range strings.SplitSeq(script, ";\n") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		module, query, _ := strings.Cut(strings.TrimSpace(part), ": ")
		if _, err := s[module].ExecContext(t.Context(), query); err != nil {
			t.Fatalf("%s: %v", part, err)
		}
	}
}

func (s shop) broken(t *testing.T) (out []string) {
	t.Helper()
	c := verify.Config{Across: All()}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		c.Modules = append(c.Modules, verify.Module{Name: name, DB: s[name]})
	}
	results, err := verify.Run(context.WithoutCancel(t.Context()), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(All()) {
		t.Errorf("%d laws were looked at, there are %d", len(results), len(All()))
	}
	for _, r := range results {
		if r.Broken > 0 {
			out = append(out, r.Check)
			t.Log(r.Check, r.Cases)
		}
	}
	return out
}

// o1 is paid with a coupon, and partly refunded; o2 came to nothing; o3 was paid and then cancelled.
const good = `
order: INSERT INTO orders (id, fingerprint, cart_id, live_cart_id, customer_id, state, cancel_code, cancel_reason, cancel_message, promised,
	payment_id, quote_id, coupon_code, currency, subtotal_minor, discount_minor, tax_minor, total_minor, captured_minor, refunded_minor,
	email, ship_name, ship_line1, ship_line2, ship_city, ship_postal_code, ship_country, holds_stock, holds_coupon, holds_payment,
	epoch, claim_until, next_at, attempts, last_error, sequence, version, create_time, update_time) VALUES
	('o1', '', 'c1', 'c1', '', 'PARTIALLY_REFUNDED', 0, '', '', 1, 'p1', 'q1', 'TEN', 'EUR', 200, 20, 0, 180, 180, 50,
		'', '', '', '', '', '', 'DE', 1, 1, 1, 1, 0, 0, 0, '', 3, 3, 1, 3),
	('o2', '', 'c2', NULL, '', 'CANCELLED', 9, 'PAYMENT_DECLINED', '', 0, '', 'q2', 'TEN', 'EUR', 10, 0, 0, 10, 0, 0,
		'', '', '', '', '', '', 'DE', 0, 0, 0, 1, 0, 0, 0, '', 2, 2, 1, 2),
	('o3', '', 'c3', NULL, '', 'CANCELLED', 9, 'CUSTOMER_REQUEST', '', 1, 'p3', 'q3', '', 'EUR', 10, 0, 0, 10, 10, 10,
		'', '', '', '', '', '', 'DE', 0, 0, 0, 1, 0, 0, 0, '', 2, 2, 1, 2);
order: INSERT INTO order_lines (order_id, position, sku, title, quantity, currency, unit_minor, discount_minor, tax_minor, total_minor, shipped, delivered, returned)
	VALUES ('o1', 1, 'A', '', 1, 'EUR', 100, 10, 0, 90, 0, 0, 0), ('o1', 2, 'B', '', 2, 'EUR', 50, 10, 0, 90, 0, 0, 0),
	('o2', 1, 'A', '', 1, 'EUR', 10, 0, 0, 10, 0, 0, 0), ('o3', 1, 'A', '', 1, 'EUR', 10, 0, 0, 10, 0, 0, 0);
inventory: INSERT INTO reservation (id, state, created_at, updated_at, expires_at) VALUES
	('o1', 'committed', 1, 2, 9), ('o2', 'released', 1, 2, 9), ('o3', 'committed', 1, 2, 9);
inventory: INSERT INTO reservation_line (reservation_id, sku, quantity) VALUES ('o1', 'A', 1), ('o1', 'B', 2), ('o2', 'A', 1), ('o3', 'A', 1);
inventory: INSERT INTO stock_ledger (sku, at, delta, kind, reference, on_hand) VALUES ('A', 9, 1, 'return', 'cancel:o3', 1);
payment: INSERT INTO payment (id, order_id, state, currency, minor, provider_ref, authorized, captured, refunded, created_at, updated_at) VALUES
	('p1', 'o1', 'captured', 'EUR', 180, 'r1', 180, 180, 50, 1, 2), ('p2', 'o2', 'declined', 'EUR', 10, '', 0, 0, 0, 1, 2),
	('p3', 'o3', 'captured', 'EUR', 10, 'r3', 10, 10, 10, 1, 2);
test_provider: INSERT INTO move (seq, kind, key, ref, order_id, currency, minor, at) VALUES
	(1, 'hold', 'p1', 'r1', 'o1', 'EUR', 180, 1), (2, 'capture', 'p1', 'r1', 'o1', 'EUR', 180, 1), (3, 'refund', 'p1', 'r1', 'o1', 'EUR', 50, 1),
	(4, 'hold', 'p3', 'r3', 'o3', 'EUR', 10, 1), (5, 'capture', 'p3', 'r3', 'o3', 'EUR', 10, 1), (6, 'refund', 'p3', 'r3', 'o3', 'EUR', 10, 1);
cart: INSERT INTO carts (id, state, create_time, update_time, customer_id, coupon_code, merged_into) VALUES
	('c1', 2, 1, 1, '', '', ''), ('c2', 1, 1, 1, '', '', ''), ('c3', 2, 1, 1, '', '', '');
pricing: INSERT INTO redemption (id, state, quote_id, coupon, created_at, updated_at) VALUES
	('o1', 'committed', 'q1', 'TEN', 1, 2), ('o2', 'released', 'q2', 'TEN', 1, 2), ('o3', 'committed', 'q3', '', 1, 2);
fulfilment: INSERT INTO fulfilment (order_id, state, ship_name, ship_line1, ship_line2, ship_city, ship_postal_code, ship_country, created_at, updated_at)
	VALUES ('o1', 'OPEN', '', '', '', '', '', '', 1, 1), ('o3', 'CANCELLED', '', '', '', '', '', '', 1, 1);
fulfilment: INSERT INTO fulfilment_line (order_id, sku, position, title, ordered, packed, shipped, delivered, announced, returned) VALUES
	('o1', 'A', 1, '', 1, 0, 0, 0, 0, 0), ('o1', 'B', 2, '', 2, 0, 0, 0, 0, 0), ('o3', 'A', 1, '', 1, 0, 0, 0, 0, 0);
`

func TestTheLawsHoldOfAGoodShop(t *testing.T) {
	url := datatest.PostgresURL(t, orders, carts, stocks, payments, prices, parcels)
	for name, url := range map[string]string{"sqlite": "", "postgres": url} {
		t.Run(name, func(t *testing.T) {
			s := open(t, url)
			s.exec(t, good)
			if got := s.broken(t); len(got) > 0 {
				t.Errorf("broken: %q", got)
			}
			pages(t, s)
		})
	}
}

// pages: of more rows than a page has none is passed over, whatever order the database has its texts in.
func pages(t *testing.T, s shop) {
	t.Helper()
	s.exec(t, `inventory: INSERT INTO reservation (id, state, created_at, updated_at, expires_at)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1203)
		SELECT CASE i % 2 WHEN 0 THEN 'X-' ELSE 'x' END || i, 'reserved', 1, 1, 1 FROM n`)
	c := verify.Config{Across: []verify.Across{stockIsForOrders()}, Modules: []verify.Module{{Name: orders, DB: s[orders]}, {Name: stocks, DB: s[stocks]}}}
	got, err := verify.Run(t.Context(), c)
	if err != nil || len(got) != 1 || got[0].Broken != 1203 {
		t.Errorf("%+v, %v", got, err)
	}
}

// breaks has, for each law, statements each of which alone breaks it.
func breaks() map[string][]string {
	return map[string][]string{
		"orders_have_their_stock": {
			"inventory: UPDATE reservation SET state = 'released' WHERE id = 'o1'",
			"inventory: UPDATE reservation_line SET quantity = 1 WHERE sku = 'B'",
			"inventory: UPDATE reservation SET state = 'reserved' WHERE id = 'o2'",
			"inventory: DELETE FROM stock_ledger",
			"inventory: UPDATE reservation SET state = 'committed' WHERE id = 'o2'",
		},
		"stock_is_for_orders": {"inventory: INSERT INTO reservation VALUES ('o9', 'reserved', 1, 1, 9)"},
		"orders_have_their_money": {
			"payment: UPDATE payment SET refunded = 49 WHERE id = 'p1'", "payment: UPDATE payment SET state = 'authorized', provider_ref = 'r' WHERE id = 'p2'",
			"payment: DELETE FROM payment WHERE id = 'p1'", "payment: UPDATE payment SET refunded = 0 WHERE id = 'p3'",
			"order: UPDATE orders SET captured_minor = 0, refunded_minor = 0 WHERE id = 'o1'",
		},
		"payments_are_for_orders": {
			"payment: INSERT INTO payment (id, order_id, state, currency, minor, created_at, updated_at) VALUES ('p9', 'o9', 'pending', 'EUR', 1, 1, 1)",
		},
		"charges_are_for_orders": {
			"test_provider: INSERT INTO move VALUES (7, 'capture', 'p9', 'r9', 'o9', 'EUR', 1, 1)", "test_provider: DELETE FROM move WHERE seq = 6",
			"test_provider: INSERT INTO move VALUES (7, 'hold', 'p9', 'r9', 'o2', 'EUR', 10, 1)",
			"test_provider: UPDATE move SET minor = 360 WHERE seq = 2", "test_provider: DELETE FROM move WHERE order_id = 'o1'",
		},
		"coupons_are_used_by_orders": {
			"pricing: UPDATE redemption SET state = 'reserved' WHERE id = 'o2'", "pricing: UPDATE redemption SET state = 'released' WHERE id = 'o1'",
			"pricing: DELETE FROM redemption WHERE id = 'o1'", "pricing: INSERT INTO redemption VALUES ('o9', 'committed', 'q', 'TEN', 1, 1)",
			"pricing: UPDATE redemption SET state = 'committed' WHERE id = 'o2'", "pricing: UPDATE redemption SET coupon = 'FIVE' WHERE id = 'o1'",
			"pricing: UPDATE redemption SET coupon = 'TEN' WHERE id = 'o3'", "order: UPDATE orders SET coupon_code = '' WHERE id = 'o1'",
		},
		"carts_know_their_orders": {"cart: UPDATE carts SET state = 1", "cart: UPDATE carts SET id = 'c9' WHERE id = 'c1'"},
		"orders_are_fulfilled": {
			"fulfilment: UPDATE fulfilment SET state = 'CANCELLED' WHERE order_id = 'o1'", "fulfilment: UPDATE fulfilment SET state = 'OPEN' WHERE order_id = 'o3'",
			"fulfilment: UPDATE fulfilment_line SET ordered = 3 WHERE sku = 'B'", "fulfilment: DELETE FROM fulfilment_line WHERE sku = 'B'",
		},
	}
}

func TestEachBrokenLawIsTold(t *testing.T) {
	template := t.TempDir()
	whole := made(t, "", template)
	whole.exec(t, good)
	for _, db := range whole {
		if err := db.Close(); err != nil { // and its log is in the file
			t.Fatal(err)
		}
	}
	for _, law := range All() {
		if len(breaks()[law.Name]) == 0 {
			t.Errorf("nothing breaks %s", law.Name)
		}
		for _, statement := range breaks()[law.Name] {
			t.Run(law.Name, func(t *testing.T) {
				s := again(t, template)
				s.exec(t, statement)
				if got := s.broken(t); !slices.Contains(got, law.Name) {
					t.Errorf("%s: broken are %q", statement, got)
				}
			})
		}
	}
}
