package letters

import "github.com/cleavehq/cleave/chassis/page"

// Reasons of the module's errors: a caller may switch on them.
const (
	ReasonNotFound  = "NOTIFICATION_NOT_FOUND" // NotFound
	ReasonErased    = "MAIL_ERASED"            // FailedPrecondition: its text isn't kept any more
	ReasonNoServer  = "NO_MAIL_SERVER"         // FailedPrecondition: none is configured
	ReasonPending   = "MAIL_PENDING"           // FailedPrecondition: it is about to be sent anyway
	ReasonPageToken = page.ReasonTokenInvalid  // InvalidArgument
)

// Why an attempt failed, where no mail server has answered, or why there was none.
const (
	WhyAddress = "ADDRESS_INVALID"
	WhyTimeout = "TIMEOUT"
	WhyReach   = "UNREACHABLE"
	WhyExpired = "EXPIRED"
)
