// Package account is the business of customers: who has an account, who may do what with it, and how they prove who they are. It knows no
// transport and no SQL.
package account

import "time"

// Limits.
const (
	// MaxAddresses of a customer.
	MaxAddresses = 50
	// MaxSessions of a customer; a login beyond ends the oldest one.
	MaxSessions = 50
	// VerifyTime is how long a verification token is good.
	VerifyTime = 24 * time.Hour
	// ResetTime is how long a reset token is good.
	ResetTime = time.Hour
	// IdleTime is how long a refresh token is good.
	IdleTime = 30 * 24 * time.Hour
	// SessionTime is how long a session lives at most, however often it is refreshed.
	SessionTime = 180 * 24 * time.Hour
)

// Role is what an account may do.
type Role string

// The roles, as access tokens have them.
const (
	Customer Role = "customer"
	Staff    Role = "staff"
	Admin    Role = "admin"
)

// Account is one customer. Of an erased one only ID, Created, Updated and Erased are left.
type Account struct {
	ID string
	// Email is normalised, see Email.
	Email               string
	Name, Phone, Locale string
	PasswordHash        string
	Staff, Admin        bool
	Created, Updated    time.Time
	// Erased is zero for one that isn't.
	Erased time.Time
}

// Gone reports whether the account was erased.
func (a Account) Gone() bool { return !a.Erased.IsZero() }

// Roles returns what the account may do.
func (a Account) Roles() []Role {
	roles := []Role{Customer}
	if a.Staff {
		roles = append(roles, Staff)
	}
	if a.Admin {
		roles = append(roles, Admin)
	}
	return roles
}

// with returns the account with a role, or without it.
func (a Account) with(r Role, has bool) Account {
	if r == Admin {
		a.Admin = has
	} else {
		a.Staff = has
	}
	return a
}

// Registration is an account that is not one yet: nobody has shown that they can read the mail.
type Registration struct {
	// TokenHash is the hash of the verification token.
	TokenHash string
	// ID is what the account's will be.
	ID                  string
	Email, Name, Locale string
	PasswordHash        string
	Created, Expires    time.Time
}

// Reset is the permission to set a new password.
type Reset struct {
	TokenHash  string
	CustomerID string
	Expires    time.Time
}

// Session is one login and all the refreshes after it.
type Session struct {
	ID, CustomerID   string
	Created, Expires time.Time
}

// RefreshToken is one link of a session's chain.
type RefreshToken struct {
	TokenHash string
	Session   Session
	Expires   time.Time
	// Used is zero until it was.
	Used time.Time
}

// Address is where a customer has parcels sent.
type Address struct {
	ID, CustomerID                                string
	Label                                         string
	Name, Line1, Line2, City, PostalCode, Country string
	Created, Updated                              time.Time
}

// Event is something that other modules hear of: one of the four types below.
type Event interface{ event() }

// Registered carries a verification token to the mail.
type Registered struct {
	Registration Registration
	Token        string
}

// Repeated tells the owner of an account that someone tried to register its address.
type Repeated struct {
	Account Account
	At      time.Time
}

// ResetRequested carries a reset token to the mail.
type ResetRequested struct {
	Account Account
	At      time.Time
	Token   string
	Expires time.Time
}

// Erased says that a customer is to be forgotten.
type Erased struct {
	ID string
	At time.Time
}

func (Registered) event()     {}
func (Repeated) event()       {}
func (ResetRequested) event() {}
func (Erased) event()         {}
