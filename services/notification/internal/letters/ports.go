package letters

import (
	"context"
	"fmt"
	"time"

	"github.com/cleavehq/cleave/chassis/lease"
)

// Store keeps the mails. Where it returns a bool beside something, false says that there is no such thing.
type Store interface {
	Mail(ctx context.Context, id string) (Mail, bool, error)
	// Page returns up to limit mails older than the cursor, without their text, the newest first; in a state unless it is empty.
	Page(ctx context.Context, only State, before Cursor, limit int) ([]Mail, error)
	// Again makes a mail due now, with no attempts, when check agrees with the mail as it is. It fails with check's error.
	Again(ctx context.Context, id string, now time.Time, check func(Mail) error) (Mail, bool, error)
}

// Tx is what can be done within a transaction.
type Tx interface {
	// Add writes a mail, unless its customer was erased; nothing is written when its event has a mail of this template already.
	Add(ctx context.Context, m Mail) error
	// Told tells whether an order has a mail of this template.
	Told(ctx context.Context, orderID, template string) (bool, error)
	// Erase takes address and text out of every mail of a customer, and remembers it. A mail to the same address that names no customer stays:
	// whoever only says that an address is theirs must not stop the mail of whose it is.
	Erase(ctx context.Context, customerID string, now time.Time) error
}

// Queue is the courier's side of the store.
type Queue interface {
	// Due returns up to limit mails that are due, the longest due first.
	Due(ctx context.Context, now time.Time, limit int) ([]Mail, error)
	// Record writes down how an attempt ended, unless the mail was erased or recorded meanwhile. It fails with lease.ErrFenced, and nothing
	// is written, when the lease has another owner. The text of a secret mail that is over is deleted.
	Record(ctx context.Context, l *lease.Lease, r Result) error
	// Prune deletes mails that are over since before, a bounded number at a time, and counts; and the text of secrets that are of no more use.
	Prune(ctx context.Context, l *lease.Lease, before, now time.Time) (int64, error)
}

// Result is how an attempt ended: the mail as it is now.
type Result struct {
	Mail
	// Before is how many attempts there were before this one.
	Before int
}

// Cursor is a place in the list, which is ordered by create time, then id. Zero is before the first.
type Cursor struct {
	Created time.Time
	ID      string
}

// Renderer makes the words of a mail.
type Renderer interface {
	// Render returns subject, text and HTML, and the locale that it had; it falls back on "en".
	Render(template, locale string, d Data) (Words, error)
}

// Words of a mail.
type Words struct{ Locale, Subject, Text, HTML string }

// Sender hands a mail to a mail server. A *Refusal says that the server, or the address, won't have it. After any other error it may have been
// taken or not.
type Sender interface {
	Send(ctx context.Context, m Mail) error
}

// Refusal is a mail server's no.
type Refusal struct {
	// Code is the SMTP reply code; 0 when the address is none.
	Code int
	// Final: trying again is of no use.
	Final bool
}

// Error implements error. It has none of the server's words.
func (r *Refusal) Error() string {
	if r.Code == 0 {
		return "the address is none"
	}
	return fmt.Sprintf("the mail server answered %d", r.Code)
}
