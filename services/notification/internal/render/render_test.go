package render_test

import (
	"strings"
	"testing"

	"github.com/cleavehq/cleave/services/notification/internal/letters"
	"github.com/cleavehq/cleave/services/notification/internal/render"
)

func open(t *testing.T) *render.Renderer {
	t.Helper()
	r, err := render.New()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func data() letters.Data {
	return letters.Data{
		Name: "Ada <b>&", OrderID: "0199f2d4-aaaa-7bbb-8ccc-123456789abc", Token: "tok-1", Expires: "3 November 2026, 12:00 UTC", Amount: "1.00 EUR",
		Lines: []letters.Line{{Title: "Mug \"Blue\"", Total: "7.00 EUR", Quantity: 2, Shipped: 1}}, Total: "7.70 EUR", Tax: "0.70 EUR",
		Address: []string{"1 Way", "Town"}, Reason: "a scratch",
	}
}

// Every template says, as text and as HTML, what it is there to say.
func TestEveryTemplate(t *testing.T) {
	r := open(t)
	for name, wants := range map[string][]string{
		letters.OrderConfirmed:    {"0199f2d4-aaaa", "Mug", "7.70 EUR", "0.70 EUR", "1 Way"},
		letters.OrderCancelled:    {"0199f2d4-aaaa", "cancelled"},
		letters.OrderShipped:      {"0199f2d4-aaaa", "1 of 2", "the rest follows"},
		letters.OrderRefunded:     {"1.00 EUR", "a scratch"},
		letters.EmailVerification: {"tok-1", "3 November 2026"},
		letters.AccountExists:     {"Nothing was changed"},
		letters.PasswordReset:     {"tok-1", "3 November 2026"},
	} {
		for _, locale := range []string{"en", "en-GB", "tlh", ""} {
			w, err := r.Render(name, locale, data())
			if err != nil || w.Locale != "en" || w.Subject == "" || strings.Contains(w.Text, "Subject") {
				t.Fatalf("%s: %+v, %v", name, w, err)
			}
			for _, want := range append(wants, "Ada") {
				if !strings.Contains(w.Text, want) || !strings.Contains(w.HTML, want) {
					t.Errorf("%s has no %q:\n%s\n%s", name, want, w.Text, w.HTML)
				}
			}
			if !strings.Contains(w.Text, "Hello Ada <b>&,") || !strings.Contains(w.HTML, "Hello Ada &lt;b&gt;&amp;,") || strings.Contains(w.Subject, "tok-1") {
				t.Errorf("%s:\n%s\n%s\n%s", name, w.Subject, w.Text, w.HTML)
			}
		}
	}
	if w, err := r.Render("nothing", "en", data()); err == nil {
		t.Errorf("%+v", w)
	}
}

// What a stranger chose begins no header of its own.
func TestASubjectIsOneLine(t *testing.T) {
	d := data()
	d.Amount = "1.00 EUR\r\nBcc: everyone@example.com\x00"
	w, err := open(t).Render(letters.OrderRefunded, "en", d)
	if err != nil || strings.ContainsAny(w.Subject, "\r\n\x00") || !strings.Contains(w.Subject, "1.00 EUR Bcc:") {
		t.Errorf("%q, %v", w.Subject, err)
	}
}

func TestMoney(t *testing.T) {
	for want, m := range map[string]struct {
		minor    int64
		currency string
	}{
		"19.99 EUR": {1999, "EUR"}, "0.05 USD": {5, "USD"}, "0.00 USD": {0, "USD"}, "1999 JPY": {1999, "JPY"}, "1.999 BHD": {1999, "BHD"}, "-0.50 EUR": {-50, "EUR"},
		"10000000000000.00 EUR": {1_000_000_000_000_000, "EUR"},
	} {
		if got := render.Money(m.minor, m.currency); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
