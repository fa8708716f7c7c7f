package webhook

import (
	"fmt"

	"github.com/cleavehq/cleave/chassis/verify"
	"github.com/cleavehq/cleave/services/webhook/internal/hooks"
)

// Invariants are the laws of the module's data.
func Invariants() []verify.Check {
	return []verify.Check{
		{
			Name: "endpoints_can_sign",
			Law:  fmt.Sprintf("an endpoint has one current secret, and at most %d that sign", MaxSecrets),
			SQL: fmt.Sprintf(`SELECT e.id, (SELECT COUNT(*) FROM endpoint_secret s WHERE s.endpoint_id = e.id AND s.until_at = 0) AS now FROM endpoint e
				WHERE (SELECT COUNT(*) FROM endpoint_secret s WHERE s.endpoint_id = e.id AND s.until_at = 0) <> 1
				OR (SELECT COUNT(*) FROM endpoint_secret s WHERE s.endpoint_id = e.id AND (s.until_at = 0 OR s.until_at > $1)) > %d ORDER BY e.id`, MaxSecrets),
		},
		{
			Name: "deliveries_are_given_up",
			Law:  "a delivery is attempted ten times at most, and nothing waits for an endpoint that is gone",
			SQL: fmt.Sprintf(`SELECT d.id, d.attempts, d.state FROM delivery d JOIN endpoint e ON e.id = d.endpoint_id
				WHERE d.attempts > %[1]d OR (d.state = 'PENDING' AND (d.attempts = %[1]d OR e.why = 'GONE')) ORDER BY d.id`, len(hooks.Schedule())+1),
		},
	}
}
