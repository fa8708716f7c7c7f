package api

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"github.com/cleavehq/cleave/chassis/telemetry"
)

// observed tells the metrics and the trace of a request that is over.
func (x *exchange) observed(end time.Time, took time.Duration) {
	x.g.metrics.done(x.r.Method, x.route, x.w.status, end, took, func() string { return telemetry.TraceID(x.r.Context()) })
	if x.span == nil {
		return
	}
	x.span.Rename(known(x.r.Method) + " " + x.route)
	x.span.Set("http.response.status_code", digits(x.w.status))
	x.span.DoneWith(cmp.Or(x.code, codeOf(x.w.status)))
}

// codeOf is what a span says of a status: what the gateway or a service is to blame for has the gRPC code's name.
func codeOf(status int) string {
	switch {
	case status < http.StatusBadRequest:
		return ""
	case status == http.StatusNotImplemented:
		return "Unimplemented"
	case status == http.StatusServiceUnavailable:
		return "Unavailable"
	case status == http.StatusGatewayTimeout:
		return "DeadlineExceeded"
	case status >= http.StatusInternalServerError:
		return "Internal"
	}
	return "HTTP " + strconv.Itoa(status)
}
