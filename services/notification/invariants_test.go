package notification_test

import (
	"testing"

	"github.com/cleavehq/cleave/chassis/verify/verifytest"
	"github.com/cleavehq/cleave/services/notification"
	"github.com/cleavehq/cleave/services/notification/internal/store"
)

// A mail that is about to be sent, a secret one that was sent, one that was given up, and one of a customer who is erased.
const goodMails = `
INSERT INTO mail (id, event_id, template, locale, recipient, customer_id, order_id, subject, body, html, secret, state, attempts, created_at, updated_at, next_at, expires_at) VALUES
	('m1', 'e1', 't', 'en', 'a@b.example', 'c1', '', 's', 'b', 'h', 1, 'PENDING', 12, 1, 1, 1, 9), ('m2', 'e2', 't', 'en', 'a@b.example', 'c1', '', 's', '', '', 1, 'SENT', 1, 1, 1, 0, 9),
	('m3', 'e3', 't', 'en', 'a@b.example', 'c1', '', 's', 'b', 'h', 0, 'DEAD', 13, 1, 1, 0, 0), ('m4', 'e4', 't', 'en', '', 'c2', '', '', '', '', 0, 'ERASED', 1, 1, 1, 0, 0);
INSERT INTO erased_customer (id, erased_at) VALUES ('c2', 1)`

func TestInvariants(t *testing.T) {
	verifytest.Run(t, verifytest.Suite{
		Module: notification.Name, Migrations: store.Migrations(), Checks: notification.Invariants(), Good: goodMails,
		Break: map[string][]string{
			"erased_customers_have_no_mail": {"UPDATE mail SET customer_id = 'c2' WHERE id = 'm3'"},
			"secrets_are_not_kept":          {"UPDATE mail SET body = 'b' WHERE id = 'm2'", "UPDATE mail SET html = 'h' WHERE id = 'm2'", "UPDATE mail SET secret = 1 WHERE id = 'm3'"},
			"mails_are_given_up":            {"UPDATE mail SET attempts = 14 WHERE id = 'm3'", "UPDATE mail SET attempts = 13 WHERE id = 'm1'"},
		},
	})
}
