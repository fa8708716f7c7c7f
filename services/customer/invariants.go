package customer

import (
	"fmt"

	"github.com/cleavehq/cleave/chassis/verify"
	"github.com/cleavehq/cleave/services/customer/internal/account"
)

// Invariants are the laws of the module's data.
func Invariants() []verify.Check {
	return []verify.Check{
		{
			Name: "erased_are_forgotten",
			Law:  "an erased customer has no session, no address and no reset",
			SQL: `SELECT c.id FROM customer c WHERE c.erased_at <> 0 AND (
				EXISTS (SELECT 1 FROM session s WHERE s.customer_id = c.id)
				OR EXISTS (SELECT 1 FROM address a WHERE a.customer_id = c.id)
				OR EXISTS (SELECT 1 FROM password_reset p WHERE p.customer_id = c.id)) ORDER BY c.id`,
		},
		{
			Name: "sessions_have_one_successor",
			Law:  "of a session's refresh tokens one is unused at most",
			SQL: `SELECT session_id, COUNT(*) AS unused FROM refresh_token WHERE used_at = 0
				GROUP BY session_id HAVING COUNT(*) > 1 ORDER BY session_id`,
		},
		{
			Name: "customers_within_limits",
			Law:  fmt.Sprintf("a customer has at most %d addresses and %d sessions", account.MaxAddresses, account.MaxSessions),
			SQL: fmt.Sprintf(`SELECT customer_id, 'addresses' AS what, COUNT(*) AS there FROM address GROUP BY customer_id HAVING COUNT(*) > %d
				UNION ALL SELECT customer_id, 'sessions', COUNT(*) FROM session GROUP BY customer_id HAVING COUNT(*) > %d`,
				account.MaxAddresses, account.MaxSessions),
		},
	}
}
