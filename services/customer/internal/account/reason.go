package account

import "github.com/cleavehq/cleave/chassis/problem"

// Reasons of the errors.
const (
	ReasonNotFound         = "CUSTOMER_NOT_FOUND"
	ReasonAddressNotFound  = "ADDRESS_NOT_FOUND"
	ReasonTooManyAddresses = "TOO_MANY_ADDRESSES"
	ReasonLoginFailed      = "LOGIN_FAILED"
	ReasonSessionInvalid   = "SESSION_INVALID"
	ReasonTokenInvalid     = "TOKEN_INVALID"
	ReasonTooManyAttempts  = "TOO_MANY_ATTEMPTS"
	ReasonNotAllowed       = "NOT_ALLOWED"
	ReasonChanged          = "CUSTOMER_CHANGED"
)

func notFound(id string) error {
	return problem.NotFound(ReasonNotFound, "no customer has the id %s", id)
}

func loginFailed() error {
	return problem.Unauthenticated(ReasonLoginFailed, "the e-mail address or the password is wrong, or the address is not verified yet")
}

func sessionInvalid() error {
	return problem.Unauthenticated(ReasonSessionInvalid, "the session has ended; log in again")
}

func tokenInvalid() error {
	return problem.FailedPrecondition(ReasonTokenInvalid, "the token is not valid, was used, or is too old; ask for a new one")
}
