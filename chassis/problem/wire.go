package problem

import (
	"context"
	"errors"

	microerrors "go-micro.dev/v4/errors"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Domain is the ErrorInfo.domain of our reasons (AIP-193).
const Domain = "cleave"

// From gives any error its code. It returns nil for nil.
//
// It finds an *Error, a gRPC status, a go-micro error or a context error anywhere in the chain; all else is Internal.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var m *microerrors.Error
	if errors.As(err, &m) {
		return fromMicro(m)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return DeadlineExceeded("DEADLINE_EXCEEDED", "the time was up before the answer came").Because(err)
	case errors.Is(err, context.Canceled):
		return New(codes.Canceled, "CANCELED", "the caller went away").Because(err)
	}
	if s, ok := status.FromError(err); ok {
		return FromStatus(s)
	}
	return Internal(err)
}

// FromStatus is the inverse of GRPCStatus. It returns nil for OK.
func FromStatus(s *status.Status) *Error {
	if s.Code() == codes.OK {
		return nil
	}
	e := &Error{Code: s.Code(), Message: s.Message()}
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			e.Reason = d.GetReason()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Fields = append(e.Fields, Field{Path: v.GetField(), Message: v.GetDescription()})
			}
		}
	}
	if e.Reason == "" {
		e.Reason = codeName(s.Code())
	}
	return e
}

// GRPCStatus makes the status that goes over gRPC: code, message, ErrorInfo and, for wrong fields, BadRequest.
// grpc-go's status.FromError finds it.
func (e *Error) GRPCStatus() *status.Status {
	s := status.New(e.Code, e.Message)
	info := &errdetails.ErrorInfo{Reason: e.Reason, Domain: Domain}
	if len(e.Fields) == 0 {
		return withDetails(s, info)
	}
	bad := &errdetails.BadRequest{}
	for _, f := range e.Fields {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: f.Path, Description: f.Message})
	}
	if d, err := s.WithDetails(info, bad); err == nil {
		return d
	}
	return s
}

func withDetails(s *status.Status, info *errdetails.ErrorInfo) *status.Status {
	if d, err := s.WithDetails(info); err == nil {
		return d
	}
	return s
}

// Micro makes the error that goes over go-micro's own RPC. Its id is the service, its code the HTTP status, its detail the message
// and its status the reason. The wrong fields don't fit into it and are lost.
func (e *Error) Micro(service string) *microerrors.Error {
	return &microerrors.Error{Id: service, Code: int32(HTTPStatus(e.Code)), Detail: e.Message, Status: e.Reason} //nolint:gosec // an HTTP status
}

func fromMicro(m *microerrors.Error) *Error {
	reason := m.Status
	code := codeOf(int(m.Code))
	if reason == "" {
		reason = codeName(code)
	}
	return &Error{Code: code, Reason: reason, Message: m.Detail}
}
