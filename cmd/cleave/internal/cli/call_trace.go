package cli

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"go-micro.dev/v4/client"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cleavehq/cleave/chassis/rpc"
	"github.com/cleavehq/cleave/chassis/schema"
	"github.com/cleavehq/cleave/chassis/telemetry"
)

// spanWait is how long a traced call waits for what goes on after its answer, such as events.
const spanWait = 500 * time.Millisecond

// tracedCall is a call of `cleave call --trace`.
type tracedCall struct {
	c       *cobra.Command
	args    []string
	md      protoreflect.MethodDescriptor
	ct      *schema.Contract
	in      *dynamicpb.Message
	timeout time.Duration
}

// callTraced calls, prints the answer to stdout and draws the trace on stderr; as JSON both are one document on stdout. A call that fails has
// a trace too.
func (a *app) callTraced(ctx context.Context, cl *rpc.Client, t tracedCall) error {
	mine, err := telemetry.New(telemetry.Config{Host: "cleave call", Recent: 64, Kept: 64})
	if err != nil {
		return err
	}
	ctx, span := mine.Join(ctx, "", "cleave call", telemetry.Internal)
	out := dynamicpb.NewMessage(t.md.Output())
	called := cl.Call(ctx, cl.NewRequest(t.args[0], t.args[1], t.in), out, rpc.WithMethod(t.md), client.WithRequestTimeout(t.timeout))
	span.Done(called)
	id := span.SpanContext().TraceID()
	spans, s, err := a.gather(ctx, t.c, id)
	if err != nil {
		return errors.Join(called, err)
	}
	spans = merged(append(spans, mine.Spans(id)...))
	if s.Output == "json" {
		return errors.Join(called, a.answerAndTrace(out, t.ct, spans, called))
	}
	if called == nil {
		called = a.print(out, t.ct, true)
	}
	_, err = a.env.Stderr.Write(append([]byte("\n"), waterfall(spans)...))
	return errors.Join(called, err)
}

func (a *app) gather(ctx context.Context, c *cobra.Command, id trace.TraceID) (spans []telemetry.SpanJSON, s settings, err error) {
	se, err := a.session(c)
	if err != nil {
		return nil, s, err
	}
	defer func() { err = errors.Join(err, se.Close()) }()
	spans, err = se.spansOf(ctx, id.String(), spanWait)
	return spans, se.s, err
}

func (a *app) answerAndTrace(out *dynamicpb.Message, ct *schema.Contract, spans []telemetry.SpanJSON, called error) error {
	doc := struct {
		Answer json.RawMessage      `json:"answer,omitempty"`
		Trace  []telemetry.SpanJSON `json:"trace"`
	}{Trace: spans}
	if called == nil {
		b, err := protojson.MarshalOptions{EmitDefaultValues: true, Resolver: ct.Types}.Marshal(out)
		if err != nil {
			return err
		}
		doc.Answer = b
	}
	return a.json(doc)
}
