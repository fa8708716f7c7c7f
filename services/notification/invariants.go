package notification

import (
	"fmt"

	"github.com/cleavehq/cleave/chassis/verify"
	"github.com/cleavehq/cleave/services/notification/internal/letters"
)

// Invariants are the laws of the module's data.
func Invariants() []verify.Check {
	return []verify.Check{
		{
			Name: "erased_customers_have_no_mail",
			Law:  "every mail of an erased customer is erased",
			SQL:  `SELECT m.id, m.state FROM mail m WHERE m.state <> 'ERASED' AND EXISTS (SELECT 1 FROM erased_customer c WHERE c.id = m.customer_id) ORDER BY m.id`,
		},
		{
			Name: "secrets_are_not_kept",
			Law:  "the text of a mail that holds a secret is gone once the mail is over",
			SQL:  `SELECT id, state FROM mail WHERE secret = 1 AND state IN ('SENT', 'DEAD', 'ERASED') AND (body <> '' OR html <> '') ORDER BY id`,
		},
		{
			Name: "mails_are_given_up",
			Law:  fmt.Sprintf("a mail is attempted %d times at most", len(letters.Schedule())+1),
			SQL: fmt.Sprintf(`SELECT id, attempts, state FROM mail WHERE attempts > %[1]d OR (state = 'PENDING' AND attempts = %[1]d) ORDER BY id`,
				len(letters.Schedule())+1),
		},
	}
}
