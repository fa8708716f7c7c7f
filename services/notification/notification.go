// Package notification writes to the people who buy.
//
// It hears of what is worth a mail: an order that was confirmed, shipped, refunded or cancelled; an address that is to be verified; a password
// that was forgotten. Each event becomes one mail, rendered as text and as HTML at once, in the transaction that notes that the event was heard:
// an event that comes again writes nothing again. A cancellation is written of only to whoever was told of the order before: a card that
// was declined at the checkout is no news to its owner.
//
// A courier, of which one works at a time (lease "notification.send"), hands what is due to a mail server:
//
//	PENDING --taken--> SENT        PENDING --5xx, thirteen failures, secret expired--> DEAD        HELD, SENT, DEAD --resend--> PENDING
//
// 4xx, a server that can't be reached, one that breaks off and a password that is wrong are tried again: after 10 s, 1 min, 5 min, ... for three and a
// half days. SMTP has no way to ask what became of a mail whose answer was lost: it is sent again, and may come twice. Both have the same
// Message-ID, which is made of the event's id, so that a mail server or a reader can tell that they are one. A mail that a person sends
// again has another.
//
// Without a mail server, which is the default, every mail is HELD: it can be looked at, and nothing leaves the machine. One that is held is not
// sent by itself once there is a server: a person resends what is still of use.
//
// Some mails hold a secret, a token that opens an account. No call shows their text, no log and no error has it, and the database only until it was
// sent, given up or of no more use. A customer who is erased (event shop.customer.v1.CustomerErased) has addresses and texts taken out of every
// mail; one that is to be written later isn't. What is over is deleted after 90 days. A resend isn't guarded by an Idempotency-Key, since the answer
// that is kept would outlive the erasure; a double click finds the mail PENDING.
package notification

import "github.com/cleavehq/cleave/services/notification/internal/letters"

// Name of the module in the registry, and the group in which it consumes events.
const Name = "notification"

// DefaultFrom is the sender of mails unless the operator says otherwise.
const DefaultFrom = "Cleave <shop@localhost>"

// Reasons of the errors that this module makes, as a client reads them in a problem document.
const (
	ReasonNotFound         = letters.ReasonNotFound
	ReasonErased           = letters.ReasonErased
	ReasonNoServer         = letters.ReasonNoServer
	ReasonPending          = letters.ReasonPending
	ReasonPageTokenInvalid = letters.ReasonPageToken
)
