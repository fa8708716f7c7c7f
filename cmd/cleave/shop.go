package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/cleavehq/cleave/chassis/host"
	"github.com/cleavehq/cleave/services/cart"
	"github.com/cleavehq/cleave/services/catalog"
	"github.com/cleavehq/cleave/services/customer"
	"github.com/cleavehq/cleave/services/fulfilment"
	"github.com/cleavehq/cleave/services/inventory"
	"github.com/cleavehq/cleave/services/notification"
	"github.com/cleavehq/cleave/services/order"
	"github.com/cleavehq/cleave/services/payment"
	"github.com/cleavehq/cleave/services/pricing"
	"github.com/cleavehq/cleave/services/webhook"
)

// modules are those that this binary can run, in the order in which one process starts them. To put your own in the shop's place, list
// them here.
//
// What a module of the shop alone needs to be told comes from the environment; a name with _FILE behind it names a file that holds the
// value, which is where secrets belong:
//
//	SHOP_CUSTOMER_SECRET   seals the keys that sign access tokens; 32 characters at least
//	SHOP_SMTP_URL          the mail server, smtp://user:password@host:port; without one mails are kept and not sent
//	SHOP_SMTP_FROM         the sender
//	SHOP_WEBHOOK_ALLOW     networks that webhooks may go to although they are private: 127.0.0.0/8,10.1.0.0/16
func modules() ([]host.Module, error) {
	var e environment
	allow := e.networks("SHOP_WEBHOOK_ALLOW")
	list := []host.Module{
		catalog.Module(),
		inventory.Module(),
		pricing.Module(),
		payment.Module(payments()),
		cart.Module(),
		order.Module(),
		fulfilment.Module(),
		customer.Module(customer.Config{Secret: e.get("SHOP_CUSTOMER_SECRET")}),
		notification.Module(notification.Config{SMTPURL: e.get("SHOP_SMTP_URL"), From: e.get("SHOP_SMTP_FROM")}),
		webhook.ModuleWith(webhook.Config{Allow: allow}),
	}
	return list, errors.Join(e.errs...)
}

// environment reads variables, and gathers what is wrong with them.
type environment struct{ errs []error }

func (e *environment) get(name string) string {
	path := os.Getenv(name + "_FILE")
	if path == "" {
		return os.Getenv(name)
	}
	b, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		e.errs = append(e.errs, fmt.Errorf("%s_FILE: %w", name, err))
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
}

func (e *environment) networks(name string) []netip.Prefix {
	var out []netip.Prefix
	for text := range strings.SplitSeq(e.get(name), ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			e.errs = append(e.errs, fmt.Errorf("%s: %q is no network, such as 10.0.0.0/8", name, text))
			continue
		}
		out = append(out, p)
	}
	return out
}
