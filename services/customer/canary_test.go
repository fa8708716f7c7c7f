package customer_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/problem"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
)

func vienna() *typev1.Address {
	return &typev1.Address{Name: "Ada", Line1: "Ring 1", City: "Wien", PostalCode: "1010", Country: "AT"}
}

// dump is all that a database holds, by table.
func dump(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, table := range []string{
		"customer", "registration", "password_reset", "session", "refresh_token", "address", "attempt", "signing_key", "outbox", "outbox_key",
		"idempotency_keys",
	} {
		out[table] = text(t, db, table)
	}
	return out
}

func text(t *testing.T, db *sql.DB, table string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			fmt.Fprintln(&out, v)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Secrets are planted in every call, right and wrong, and looked for in the log at its finest, in every error and in every row.
func (o *office) secrets(t *testing.T) {
	ctx, email := t.Context(), newEmail()
	var secrets, errs []string
	keep := func(err error) {
		if err == nil {
			t.Error("a call that should fail doesn't")
			return
		}
		b, _ := protojson.Marshal(problem.From(err).GRPCStatus().Proto())
		errs = append(errs, err.Error(), string(b))
	}
	plant := func(s string) string {
		secrets = append(secrets, s)
		return s
	}
	right, wrong, other := plant("canary-right-password"), plant("canary-wrong-password"), plant("canary-second-password")
	o.register(t, email, right)
	token := plant(heard[*customerv1.CustomerRegistered](t, o, email, 1).GetVerificationToken())
	o.register(t, email, other)
	plant(heard[*customerv1.CustomerRegistered](t, o, email, 2).GetVerificationToken())
	verify := func() error {
		_, err := o.VerifyEmail(ctx, &customerv1.VerifyEmailRequest{Token: token})
		return err
	}
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	keep(verify())
	keep(second(o.login(ctx, email, wrong)))
	keep(second(o.login(ctx, newEmail(), wrong)))
	s, err := o.login(ctx, email, right)
	if err != nil {
		t.Fatal(err)
	}
	plant(s.GetAccessToken())
	plant(s.GetRefreshToken())
	next, err := o.refresh(ctx, s.GetRefreshToken())
	if err != nil {
		t.Fatal(err)
	}
	plant(next.GetAccessToken())
	plant(next.GetRefreshToken())
	keep(second(o.refresh(ctx, s.GetRefreshToken())))
	keep(second(o.refresh(ctx, next.GetRefreshToken())))
	keep(second(o.refresh(ctx, plant(strings.Repeat("canary_", 6)+"!"))))
	keep(second(o.GetCustomer(bearer(ctx, s.GetAccessToken()+plant("canaryend")), &customerv1.GetCustomerRequest{CustomerId: s.GetCustomerId()})))
	if _, err := o.RequestPasswordReset(ctx, &customerv1.RequestPasswordResetRequest{Email: email}); err != nil {
		t.Fatal(err)
	}
	resetToken := plant(heard[*customerv1.PasswordResetRequested](t, o, email, 1).GetResetToken())
	reset := func(password string) error {
		_, err := o.ResetPassword(ctx, &customerv1.ResetPasswordRequest{Token: resetToken, NewPassword: plant(password)})
		return err
	}
	keep(reset("canary-shrt"))
	if err := reset("canary-third-password"); err != nil {
		t.Fatal(err)
	}
	keep(reset("canary-fourth-password"))
	// A database that fails mid-way is where errors get long.
	gone, cancel := context.WithCancel(ctx)
	cancel()
	keep(second(o.login(gone, email, plant("canary-fifth-password"))))

	log, rows := o.log.String(), dump(t, o.db)
	if !strings.Contains(log, "call failed") || !strings.Contains(log, "used twice") || rows["customer"] == "" {
		t.Error("the log or the database has not what it should: the test shows nothing")
	}
	for _, secret := range secrets {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q", secret)
		}
		for _, e := range errs {
			if strings.Contains(e, secret) {
				t.Errorf("an error has %q: %s", secret, e)
			}
		}
		for table, text := range rows {
			// A token that is mailed is in the event that carries it, and nowhere else.
			mailed := table == "outbox" && len(secret) == 43
			if strings.Contains(text, secret) && !mailed {
				t.Errorf("the table %s has %q", table, secret)
			}
		}
	}
	for _, table := range []string{"refresh_token", "session", "customer"} {
		for _, personal := range []string{s.GetRefreshToken(), next.GetRefreshToken()} {
			if strings.Contains(rows[table], personal) {
				t.Errorf("the table %s has a refresh token", table)
			}
		}
	}
	// The tables themselves refuse what isn't hashed.
	o.member(t)
	for _, query := range []string{
		"UPDATE customer SET password_hash = 'correct horse' WHERE erased_at = 0", "UPDATE refresh_token SET token_hash = 'a token'",
		"INSERT INTO password_reset (token_hash, customer_id, expires_at) VALUES ('a token', '', 1)",
		"INSERT INTO registration VALUES ('a token', 'c', 'e', 'n', '', '$argon2id$', 1, 1)",
		"INSERT INTO registration VALUES ('" + strings.Repeat("0", 64) + "', 'c', 'e', 'n', '', 'correct horse', 1, 1)",
	} {
		if _, err := o.db.ExecContext(ctx, query); !data.IsCheck(err) {
			t.Errorf("%s: %v", query, err)
		}
	}
	if strings.Contains(log, email) {
		t.Error("the log has an e-mail address")
	}
}
