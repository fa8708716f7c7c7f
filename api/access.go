package api

import (
	"time"

	"github.com/cleavehq/cleave/api/internal/accesslog"
	"github.com/cleavehq/cleave/api/internal/guard"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// noted is what the access log tells of a request besides its route and its status.
type noted struct {
	who           guard.Caller
	streams       bool
	problemStatus int // of the error, which an RPC protocol may send with 200; 0 when there was none
	reason        string
	early         bool // there were no routes, or no hooks, yet
}

// done counts a request that began at start, and tells the access log of it.
func (x *exchange) done(start time.Time) {
	end := x.g.c.Now()
	took := end.Sub(start)
	x.observed(end, took)
	if x.route == livenessPage || x.route == readyPage || x.early { // whoever asks for that asks all the time
		return
	}
	if !x.g.access.Wants(end, x.w.status, x.problemStatus, took, x.streams) {
		return
	}
	x.g.access.Write(&accesslog.Entry{
		End: end, Took: took, Method: known(x.r.Method), Protocol: x.r.Proto, Route: x.route, Status: x.w.status, Problem: x.problemStatus, Reason: x.reason,
		Bytes: x.w.bytes, TraceID: telemetry.TraceID(x.r.Context()), RequestID: x.id, Stream: x.streams, Kind: x.who.Kind,
		Caller: x.who.Issuer + " " + x.who.Subject,
	})
}
