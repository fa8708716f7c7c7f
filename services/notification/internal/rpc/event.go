package rpc

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/events"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/notification/internal/letters"
	"github.com/cleavehq/cleave/services/notification/internal/render"
)

// Consumer turns events into mails.
type Consumer struct {
	svc    *letters.Service
	within func(*sql.Tx) letters.Tx
}

// NewConsumer returns a Consumer; within makes a transaction that somebody else began one of the module's own.
func NewConsumer(svc *letters.Service, within func(*sql.Tx) letters.Tx) *Consumer {
	return &Consumer{svc: svc, within: within}
}

// OrderConfirmed writes to who has bought.
func (c *Consumer) OrderConfirmed(ctx context.Context, tx *sql.Tx, m *orderv1.OrderConfirmed) error {
	return c.write(ctx, tx, order(m.GetEventId(), letters.OrderConfirmed, m.GetOrder()))
}

// OrderCancelled writes to who was told of the order before.
func (c *Consumer) OrderCancelled(ctx context.Context, tx *sql.Tx, m *orderv1.OrderCancelled) error {
	d := order(m.GetEventId(), letters.OrderCancelled, m.GetOrder())
	if err := check(d); err != nil {
		return err
	}
	return c.svc.WriteToInformed(ctx, c.within(tx), d)
}

// OrderShipped writes that a parcel has left.
func (c *Consumer) OrderShipped(ctx context.Context, tx *sql.Tx, m *orderv1.OrderShipped) error {
	d := order(m.GetEventId(), letters.OrderShipped, m.GetOrder())
	d.Data.Complete = true
	for _, l := range d.Data.Lines {
		d.Data.Complete = d.Data.Complete && l.Shipped >= l.Quantity
	}
	return c.write(ctx, tx, d)
}

// OrderRefunded writes that money goes back.
func (c *Consumer) OrderRefunded(ctx context.Context, tx *sql.Tx, m *orderv1.OrderRefunded) error {
	d := order(m.GetEventId(), letters.OrderRefunded, m.GetOrder())
	d.Data.Amount = money(m.GetRefund().GetAmount())
	switch reason := m.GetRefund().GetReason(); reason {
	case "RETURN", "CANCEL": // said elsewhere
	default:
		d.Data.Reason = reason
	}
	return c.write(ctx, tx, d)
}

// CustomerRegistered sends the token that proves that an address is the customer's.
func (c *Consumer) CustomerRegistered(ctx context.Context, tx *sql.Tx, m *customerv1.CustomerRegistered) error {
	return c.write(ctx, tx, letters.Draft{
		EventID: m.GetEventId(), Template: letters.EmailVerification, Locale: m.GetLocale(), To: m.GetEmail(), CustomerID: m.GetCustomerId(),
		Secret: true, Expires: moment(m.GetTokenExpireTime()),
		Data: letters.Data{Name: m.GetName(), Token: m.GetVerificationToken(), Expires: date(m.GetTokenExpireTime())},
	})
}

// RegistrationRepeated writes to who has an account already.
func (c *Consumer) RegistrationRepeated(ctx context.Context, tx *sql.Tx, m *customerv1.RegistrationRepeated) error {
	return c.write(ctx, tx, letters.Draft{
		EventID: m.GetEventId(), Template: letters.AccountExists, Locale: m.GetLocale(), To: m.GetEmail(), CustomerID: m.GetCustomerId(),
		Data: letters.Data{Name: m.GetName()},
	})
}

// PasswordResetRequested sends the token that a new password can be chosen with.
func (c *Consumer) PasswordResetRequested(ctx context.Context, tx *sql.Tx, m *customerv1.PasswordResetRequested) error {
	return c.write(ctx, tx, letters.Draft{
		EventID: m.GetEventId(), Template: letters.PasswordReset, Locale: m.GetLocale(), To: m.GetEmail(), CustomerID: m.GetCustomerId(),
		Secret: true, Expires: moment(m.GetTokenExpireTime()),
		Data: letters.Data{Name: m.GetName(), Token: m.GetResetToken(), Expires: date(m.GetTokenExpireTime())},
	})
}

// CustomerErased forgets a customer.
func (c *Consumer) CustomerErased(ctx context.Context, tx *sql.Tx, m *customerv1.CustomerErased) error {
	if m.GetCustomerId() == "" {
		return events.Permanent(fmt.Errorf("event %s has no customer", m.GetEventId()))
	}
	return c.svc.Erase(ctx, c.within(tx), m.GetCustomerId())
}

func (c *Consumer) write(ctx context.Context, tx *sql.Tx, d letters.Draft) error {
	if err := check(d); err != nil {
		return err
	}
	return c.svc.Write(ctx, c.within(tx), d)
}

// check refuses an event that no mail can be made of, however often it comes. Its id becomes a header.
func check(d letters.Draft) error {
	if d.To == "" || uuid.Validate(d.EventID) != nil || d.Secret && (d.Data.Token == "" || d.Expires.IsZero()) {
		return events.Permanent(fmt.Errorf("event %q makes no mail of %s", d.EventID, d.Template))
	}
	return nil
}

func order(eventID, template string, o *orderv1.PlacedOrder) letters.Draft {
	a := o.GetShippingAddress()
	d := letters.Draft{
		EventID: eventID, Template: template, To: o.GetEmail(), CustomerID: o.GetCustomerId(), OrderID: strings.ToLower(o.GetId()),
		Data: letters.Data{
			Name: a.GetName(), OrderID: o.GetId(), Total: money(o.GetTotal()), Subtotal: money(o.GetSubtotal()),
			Discount: money(o.GetDiscount()), Tax: money(o.GetTax()),
		},
	}
	for _, line := range []string{a.GetName(), a.GetLine1(), a.GetLine2(), strings.TrimSpace(a.GetPostalCode() + " " + a.GetCity()), a.GetCountry()} {
		if line != "" {
			d.Data.Address = append(d.Data.Address, line)
		}
	}
	for _, l := range o.GetLines() {
		d.Data.Lines = append(d.Data.Lines, letters.Line{
			Title: l.GetTitle(), Total: money(l.GetLineTotal()), Quantity: l.GetQuantity(), Shipped: l.GetShipped(),
		})
	}
	return d
}

// money is empty for no amount, and for nothing.
func money(m *typev1.Money) string {
	if m.GetMinor() == 0 {
		return ""
	}
	return render.Money(m.GetMinor(), m.GetCurrency())
}

// moment is the zero time for none.
func moment(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime().Truncate(time.Microsecond)
}

func date(t *timestamppb.Timestamp) string { return t.AsTime().Format("2 January 2006, 15:04 MST") }
