// Package customer is the module of who buys: accounts, sessions, addresses, roles.
//
// Someone registers with an e-mail address and a password. Nothing exists yet but a registration, and a token on its way to the address
// (event shop.customer.v1.CustomerRegistered; module notification mails it). The token comes back: now there is an account. A login opens a
// session: an access token for 15 minutes, that every service can verify without asking (package chassis/authn, keys from GetKeys), and a
// refresh token, that gives the next two, once. When a refresh token comes twice, one of two holders is a thief, and the session ends. A
// customer who forgot the password gets a token by mail; it sets a new password and ends every session.
//
// # What is told to whom
//
// RegisterCustomer, Login and RequestPasswordReset answer for an address that has an account as for one that has none, after the same work:
// the same hash is computed, and a transaction commits. For a registration of a taken address nothing changes; the owner is told by mail
// (RegistrationRepeated). A registration that is not verified can't log in, and isn't told so: the answer would say that the address was free.
// Two registrations of one address don't touch each other; the one whose token comes back first is the account. One difference of time is
// left: a hash that was made with weaker parameters is quicker, until its owner logs in again and it is made anew.
//
// # What is kept, and how
//
//	passwords       argon2id, OWASP's parameters; at most HashSlots are hashed at once, 19 MiB each
//	tokens          256 random bits; refresh, verification and reset tokens as SHA-256
//	signing keys    Ed25519, sealed with AES-256-GCM when the operator gives a secret, in the open when not
//	events          a verification or a reset token is in its event, and so in the outbox and the broker until they forget it: it is good
//	                for 24 hours or one hour, and for one use
//
// After EraseCustomer there is left: the id of the account with the times of its making and its end; no address, no hash, no session, no
// answer kept for a repeat. Events that were published before are the outbox's and the broker's to forget. Other modules hear of it by
// shop.customer.v1.CustomerErased. An access token that was out names the id for its last minutes, and opens nothing here.
//
// # Who may call
//
// What a customer_id names is its own, by its access token; staff may read it, admins may erase it and give roles. Roles are read from the
// database at each call, not from the token. AppointAdmin, RotateKeys and GetContact are for operators and modules: they are not routed at the
// edge, and trust the network. `cleave call customer Customer.AppointAdmin '{"email": "..."}'` makes the first admin.
//
// # Attempts
//
// Counted in the database, before they are made, so that many at once are counted too. When the free ones are used up, each must wait twice
// as long as the one before. What is refused isn't counted, and a day without an attempt forgets all. A source is an IPv4 address or an IPv6
// /64, as the gateway tells it (metadata X-Forwarded-For); when it doesn't, only addresses are counted.
//
//	login           per e-mail address   5 free, then 1 s, 2 s, ... 15 min      a login that succeeds forgets them
//	                per source          20 free, then 1 s, 2 s, ... 15 min      a login that succeeds takes back itself
//	register        per e-mail address   3 free, then 1 min, 2 min, ... 1 h
//	                per source          20 free, then 1 min, 2 min, ... 1 h
//	reset           as register, counted apart
//
// # Limits
//
//	addresses       50 a customer
//	sessions        50 a customer; one more ends the oldest
//	refresh token   30 days; a session 180 days
//	access token    15 minutes
//	signing key     30 days; visible an hour before it signs and an hour after
//	hashing         4 at once (HashSlots); who waits longer than 2 s is told UNAVAILABLE
//
// The parts: internal/account is the business and knows no transport and no SQL; internal/password hashes; internal/token signs;
// internal/store keeps all of it in SQL; internal/rpc speaks the contract. [Module] wires them, and nothing else does.
package customer

import (
	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/services/customer/internal/account"
	"github.com/cleavehq/cleave/services/customer/internal/password"
	"github.com/cleavehq/cleave/services/customer/internal/token"
)

// Name of the module in the registry.
const Name = "customer"

// Issuer and Audience of the access tokens, when the Config says nothing else.
const (
	Issuer   = "cleave"
	Audience = "shop"
)

// Reasons of the errors that this module makes, as a client reads them in a problem document.
const (
	ReasonNotFound         = account.ReasonNotFound
	ReasonAddressNotFound  = account.ReasonAddressNotFound
	ReasonTooManyAddresses = account.ReasonTooManyAddresses
	ReasonLoginFailed      = account.ReasonLoginFailed
	ReasonSessionInvalid   = account.ReasonSessionInvalid
	ReasonTokenInvalid     = account.ReasonTokenInvalid
	ReasonTooManyAttempts  = account.ReasonTooManyAttempts
	ReasonNotAllowed       = account.ReasonNotAllowed
	ReasonChanged          = account.ReasonChanged
	ReasonBusy             = password.ReasonBusy
	ReasonTooManyKeys      = token.ReasonTooManyKeys
	// Those of an access token that is missing, invalid or expired.
	ReasonTokenMissing       = authn.ReasonTokenMissing
	ReasonAccessTokenInvalid = authn.ReasonTokenInvalid
	ReasonTokenExpired       = authn.ReasonTokenExpired
)

// HashParams of argon2id.
type HashParams = password.Params
