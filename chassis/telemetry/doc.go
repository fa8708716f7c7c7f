// Package telemetry tells what a process does: traces, logs, and what belongs to both.
//
// A trace id is in every context, goes over every wire (W3C Trace Context, https://www.w3.org/TR/trace-context/), and stands in every line of
// the log. That costs next to nothing and is always on.
//
// A [Tracer] records spans. Whoever begins a call, a request or the handling of an event for somebody else joins its trace with the tracer;
// from then on the context's span knows its tracer, and whatever runs with that context, such as a statement of package data, adds spans of
// its own by [Start], or nothing when there is no tracer. A span is a record of its own, made when the work is over; it becomes OpenTelemetry's
// only when it leaves the process (package otlp).
//
// The last spans stay in memory, for [Tracer.List] and [Tracer.Show]; beside them those of traces in which something failed or was slow.
//
// # Limits
//
//	spans in memory          8,192 of some 90 bytes, and 2,048 kept ones of some 170
//	notable traces           128 are told from others at a time
//	spans that wait to be exported  8,192; then they are dropped, and counted
//	links of a span          32
//	lines of the log         2,000, and 1 MiB, for [LogRing]; a line has at most 16 KiB there
//	modules with a level     256
package telemetry
