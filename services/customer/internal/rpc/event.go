package rpc

import (
	"context"
	"database/sql"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/outbox"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	"github.com/cleavehq/cleave/services/customer/internal/account"
)

// Publish appends an event to the module's outbox, under the customer's id.
func Publish(ctx context.Context, tx *sql.Tx, e account.Event) error {
	switch e := e.(type) {
	case account.Registered:
		r := e.Registration
		return outbox.Append(ctx, tx, r.ID, &customerv1.CustomerRegistered{
			OccurredAt: timestamppb.New(r.Created), CustomerId: r.ID, Email: r.Email, Name: r.Name, Locale: r.Locale,
			VerificationToken: e.Token, TokenExpireTime: timestamppb.New(r.Expires),
		})
	case account.Repeated:
		a := e.Account
		return outbox.Append(ctx, tx, a.ID, &customerv1.RegistrationRepeated{
			OccurredAt: timestamppb.New(e.At), CustomerId: a.ID, Email: a.Email, Name: a.Name, Locale: a.Locale,
		})
	case account.ResetRequested:
		a := e.Account
		return outbox.Append(ctx, tx, a.ID, &customerv1.PasswordResetRequested{
			OccurredAt: timestamppb.New(e.At), CustomerId: a.ID, Email: a.Email, Name: a.Name, Locale: a.Locale,
			ResetToken: e.Token, TokenExpireTime: timestamppb.New(e.Expires),
		})
	case account.Erased:
		return outbox.Append(ctx, tx, e.ID, &customerv1.CustomerErased{OccurredAt: timestamppb.New(e.At), CustomerId: e.ID})
	default:
		return fmt.Errorf("publish: no message for %T", e)
	}
}
