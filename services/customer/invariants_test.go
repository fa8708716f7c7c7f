package customer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/chassis/verify/verifytest"
	"github.com/cleavehq/cleave/services/customer/internal/store"
)

// Two customers, one with a session that was refreshed once, an address and a reset under way, one that was erased; and a registration.
func goodCustomers() string {
	hash := func(of string) string { return strings.Repeat(of, 64) }
	return fmt.Sprintf(`
INSERT INTO customer (id, email, name, phone, locale, password_hash, staff, admin, created_at, updated_at, erased_at) VALUES
	('c1', 'ada@example.com', 'Ada', '', '', '$argon2id$x', 0, 0, 1, 1, 0), ('c2', NULL, '', '', '', '', 0, 0, 1, 2, 2);
INSERT INTO session (id, customer_id, created_at, expires_at) VALUES ('s1', 'c1', 1, 9);
INSERT INTO refresh_token (token_hash, session_id, expires_at, used_at) VALUES ('%s', 's1', 9, 2), ('%s', 's1', 9, 0);
INSERT INTO address (id, customer_id, label, name, line1, line2, city, postal_code, country, created_at, updated_at) VALUES
	('a1', 'c1', '', 'Ada', 'Ring 1', '', 'Wien', '', 'AT', 1, 1);
INSERT INTO password_reset (token_hash, customer_id, expires_at) VALUES ('%s', 'c1', 9), ('%s', '', 9);
INSERT INTO registration (token_hash, customer_id, email, name, locale, password_hash, created_at, expires_at) VALUES
	('%s', 'c3', 'eve@example.com', 'Eve', '', '$argon2id$x', 1, 9)`, hash("1"), hash("2"), hash("3"), hash("4"), hash("5"))
}

// many makes rows until there are 51.
func many(insert string) string {
	rows := make([]string, 50)
	for i := range rows {
		rows[i] = strings.ReplaceAll(insert[strings.Index(insert, "VALUES ")+7:], "#", fmt.Sprint(i))
	}
	return insert[:strings.Index(insert, "VALUES ")+7] + strings.Join(rows, ", ")
}

func TestInvariants(t *testing.T) {
	t.Parallel()
	verifytest.Run(t, verifytest.Suite{
		Module: Name, Migrations: store.Migrations(), Checks: Invariants(), Good: goodCustomers(),
		Break: map[string][]string{
			"erased_are_forgotten": {
				"UPDATE session SET customer_id = 'c2'", "UPDATE address SET customer_id = 'c2'",
				"UPDATE password_reset SET customer_id = 'c2' WHERE customer_id = 'c1'",
			},
			"sessions_have_one_successor": {"UPDATE refresh_token SET used_at = 0"},
			"customers_within_limits": {
				many("INSERT INTO session (id, customer_id, created_at, expires_at) VALUES ('more#', 'c1', 1, 9)"),
				many(`INSERT INTO address (id, customer_id, label, name, line1, line2, city, postal_code, country, created_at, updated_at)
					VALUES ('more#', 'c1', '', 'Ada', 'Ring 1', '', 'Wien', '', 'AT', 1, 1)`),
			},
		},
	})
}
