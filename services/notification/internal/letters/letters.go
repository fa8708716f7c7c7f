// Package letters is the business of the notification module: its words, its rules, its service and its courier. It knows no transport, no
// proto, no SQL and no SMTP.
package letters

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// Keep is how long a mail is kept that is over.
const Keep = 90 * 24 * time.Hour

// The templates.
const (
	OrderConfirmed    = "order_confirmed"
	OrderCancelled    = "order_cancelled"
	OrderShipped      = "order_shipped"
	OrderRefunded     = "order_refunded"
	EmailVerification = "email_verification"
	AccountExists     = "account_exists"
	PasswordReset     = "password_reset"
)

// Templates returns all of them.
func Templates() []string {
	return []string{OrderConfirmed, OrderCancelled, OrderShipped, OrderRefunded, EmailVerification, AccountExists, PasswordReset}
}

// Schedule is how long is waited after each failed attempt; after one more the mail is given up: about three and a half days.
func Schedule() []time.Duration {
	return []time.Duration{
		10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour,
		16 * time.Hour, 24 * time.Hour, 24 * time.Hour,
	}
}

// pause is the wait after so many failed attempts, give or take a tenth. False when there is no further attempt.
func pause(failed int) (time.Duration, bool) {
	all := Schedule()
	if failed > len(all) {
		return 0, false
	}
	d := all[failed-1]
	return d + rand.N(d/5) - d/10, true //nolint:gosec // jitter, not a secret
}

// State is what became of a mail.
type State string

// The states of a mail. From Held, Sent and Dead it gets back to Pending when it is sent again; Erased is final.
const (
	Pending State = "PENDING"
	Held    State = "HELD"
	Sent    State = "SENT"
	Dead    State = "DEAD"
	Erased  State = "ERASED"
)

// Mail is one mail. Times are in microseconds.
type Mail struct {
	// ID is a UUIDv7.
	ID string
	// EventID is the event's that it is about.
	EventID          string
	Template, Locale string
	To               string
	// CustomerID and OrderID may be empty.
	CustomerID, OrderID string
	Subject, Text, HTML string
	// Secret: the text holds one. It is shown to nobody but the recipient, and not kept once it is of no more use.
	Secret bool
	State  State
	// Attempts since it was written, or sent again.
	Attempts int
	// Again is how often it was sent again by hand.
	Again int
	// Why the last attempt failed, in a word: SMTP_450, UNREACHABLE, ...
	Why              string
	Created, Updated time.Time
	// Next is when it is sent, while Pending.
	Next time.Time
	// Expires is when its secret is of no more use; zero without one.
	Expires time.Time
}

// MessageID is the mail's Message-ID at a domain, without brackets. It is made of the event's id, so that a mail that came twice, since
// nobody knew what became of it, can be told from two mails. One that is sent again on purpose has another.
func (m *Mail) MessageID(domain string) string {
	if m.Again == 0 {
		return m.EventID + "@" + domain
	}
	return m.EventID + "." + strconv.Itoa(m.Again) + "@" + domain
}

// Draft is a mail before it is rendered.
type Draft struct {
	EventID, Template, Locale, To, CustomerID, OrderID string
	Data                                               Data
	Secret                                             bool
	Expires                                            time.Time
}

// Data is what the templates know.
type Data struct {
	// Name of the person; may be empty.
	Name    string
	OrderID string
	Lines   []Line
	// Subtotal, Discount and Tax may be empty; amounts are as a person writes them.
	Subtotal, Discount, Tax, Total string
	// Address has one line after another.
	Address []string
	// Amount of a refund, and its Reason.
	Amount, Reason string
	// Complete: everything is on its way.
	Complete bool
	// Token is a secret, and Expires until when it is of use.
	Token, Expires string
}

// Line is one line of an order.
type Line struct {
	Title, Total      string
	Quantity, Shipped int64
}
