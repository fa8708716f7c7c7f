// Package problem is the one place where errors get their code: a coded error inside, a gRPC status or a go-micro error on
// the wire, an RFC 9457 problem document at the edge.
//
// Business code returns what a constructor makes, NotFound("PRODUCT_NOT_FOUND", "no product %s", id). Transports call From
// and send what it gives. An error without a code is an internal one: its text goes to the log and never to a user.
package problem

import (
	"fmt"

	"google.golang.org/grpc/codes"
)

// Error is an error with a code, a reason for machines, a message for people, and the fields that are wrong.
type Error struct {
	// Code is one of google.rpc.Code; never OK.
	Code codes.Code
	// Reason says which of the errors with this code it is, in UPPER_SNAKE_CASE: "OUT_OF_STOCK". A client may switch on it.
	Reason string
	// Message is for a person, and safe to show to any caller.
	Message string
	// Fields says which fields of the request are wrong, and why. Only with InvalidArgument.
	Fields []Field

	cause error
}

// Field is one wrong field of a request.
type Field struct {
	// Path of the field in the proto's names: "product.variants[2].sku".
	Path string `json:"field"`
	// Message says what is wrong with it.
	Message string `json:"message"`
}

// Error returns the code, the message and, for the log, the cause.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.cause }

// New makes a coded error.
func New(code codes.Code, reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Because returns a copy of e with err as its cause: for the log, never for a user.
func (e *Error) Because(err error) *Error {
	c := *e
	c.cause = err
	return &c
}

// InvalidArgument says that the request can't be right, whatever the state of the world. HTTP 400.
func InvalidArgument(reason, format string, args ...any) *Error {
	return New(codes.InvalidArgument, reason, format, args...)
}

// Invalid is an InvalidArgument that names the wrong fields.
func Invalid(fields ...Field) *Error {
	e := New(codes.InvalidArgument, "INVALID_FIELDS", "the request has %d wrong field(s)", len(fields))
	e.Fields = fields
	return e
}

// NotFound says that what the request names isn't there. HTTP 404.
func NotFound(reason, format string, args ...any) *Error {
	return New(codes.NotFound, reason, format, args...)
}

// AlreadyExists says that what the request would create is there. HTTP 409.
func AlreadyExists(reason, format string, args ...any) *Error {
	return New(codes.AlreadyExists, reason, format, args...)
}

// FailedPrecondition says that the state of the world forbids it until someone changes that state. HTTP 422.
func FailedPrecondition(reason, format string, args ...any) *Error {
	return New(codes.FailedPrecondition, reason, format, args...)
}

// Aborted says that someone else was quicker: read again, then try again. HTTP 409.
func Aborted(reason, format string, args ...any) *Error {
	return New(codes.Aborted, reason, format, args...)
}

// ResourceExhausted says that a limit was reached. HTTP 429.
func ResourceExhausted(reason, format string, args ...any) *Error {
	return New(codes.ResourceExhausted, reason, format, args...)
}

// Unavailable says that the service can't be reached now. HTTP 503.
func Unavailable(reason, format string, args ...any) *Error {
	return New(codes.Unavailable, reason, format, args...)
}

// DeadlineExceeded says that the time was up; the outcome is not known. HTTP 504.
func DeadlineExceeded(reason, format string, args ...any) *Error {
	return New(codes.DeadlineExceeded, reason, format, args...)
}

// Unauthenticated says that the caller didn't prove who it is. HTTP 401.
func Unauthenticated(reason, format string, args ...any) *Error {
	return New(codes.Unauthenticated, reason, format, args...)
}

// PermissionDenied says that the caller may not. HTTP 403.
func PermissionDenied(reason, format string, args ...any) *Error {
	return New(codes.PermissionDenied, reason, format, args...)
}

// Unimplemented says that there is no such method. HTTP 501; the gateway never lets it come to that, it answers 404 or 405.
func Unimplemented(reason, format string, args ...any) *Error {
	return New(codes.Unimplemented, reason, format, args...)
}

// Internal hides err behind a message that tells a user nothing. HTTP 500.
func Internal(err error) *Error {
	return New(codes.Internal, "INTERNAL", "something went wrong on our side").Because(err)
}
