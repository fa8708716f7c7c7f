package problem

import (
	"encoding/json"
	"net/http"
	"strconv"

	"google.golang.org/grpc/codes"
)

// MediaType of a problem document, RFC 9457 section 3.
const MediaType = "application/problem+json"

// Document is a problem document: RFC 9457 section 3.1, with our extensions.
type Document struct {
	// Type is about:blank: the status and the reason say it all.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Instance is the path of the request.
	Instance string `json:"instance,omitempty"`
	// Code is the google.rpc.Code by name, and Reason which of its errors it is.
	Code   string `json:"code"`
	Reason string `json:"reason,omitempty"`
	// TraceID finds the request in the logs.
	TraceID string `json:"trace_id,omitempty"`
	// Errors are the wrong fields.
	Errors []Field `json:"errors,omitempty"`
}

// Document makes the problem document of e for the request at instance.
func (e *Error) Document(instance, traceID string) Document {
	code := HTTPStatus(e.Code)
	return Document{
		Type: "about:blank", Title: title(code), Status: code, Detail: e.Message, Instance: instance,
		Code: codeName(e.Code), Reason: e.Reason, TraceID: traceID, Errors: e.Fields,
	}
}

// Write sends err as a problem document. It returns the status that it sent.
func Write(w http.ResponseWriter, r *http.Request, err error, traceID string) int {
	return WriteStatus(w, r, HTTPStatus(From(err).Code), err, traceID)
}

// WriteStatus is Write with an HTTP status that no code stands for, such as 405 or 413.
func WriteStatus(w http.ResponseWriter, r *http.Request, status int, err error, traceID string) int {
	doc := From(err).Document(r.URL.Path, traceID)
	doc.Status, doc.Title = status, title(status)
	body, merr := json.Marshal(doc)
	if merr != nil { // strings and ints only: it can't be
		body = []byte(`{"type":"about:blank","status":` + strconv.Itoa(status) + `}`)
	}
	h := w.Header()
	h.Set("Content-Type", MediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n'))
	}
	return status
}

func title(status int) string {
	if status == statusClientClosed {
		return "Client Closed Request"
	}
	return http.StatusText(status)
}

// statusClientClosed is nginx's 499: nobody is there to read it, but the access log and the metrics are.
const statusClientClosed = 499

// HTTPStatus maps a code to an HTTP status, as google/rpc/code.proto says, but for FailedPrecondition: 422 instead of 400, so that
// a client can tell a request that was never right from one that isn't possible now.
func HTTPStatus(c codes.Code) int {
	switch c {
	case codes.OK:
		return http.StatusOK
	case codes.Canceled:
		return statusClientClosed
	case codes.InvalidArgument, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.FailedPrecondition:
		return http.StatusUnprocessableEntity
	case codes.NotFound:
		return http.StatusNotFound
	case codes.AlreadyExists, codes.Aborted:
		return http.StatusConflict
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	default:
		return http.StatusInternalServerError
	}
}

func codeOf(status int) codes.Code {
	switch status {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnprocessableEntity:
		return codes.FailedPrecondition
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusConflict:
		return codes.AlreadyExists
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusNotImplemented:
		return codes.Unimplemented
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return codes.DeadlineExceeded
	case statusClientClosed:
		return codes.Canceled
	default:
		return codes.Internal
	}
}

// codeName is the name that google/rpc/code.proto gives a code.
func codeName(c codes.Code) string {
	names := [...]string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
		"UNAUTHENTICATED",
	}
	if int(c) < len(names) {
		return names[c]
	}
	return "UNKNOWN"
}
