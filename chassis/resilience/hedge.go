package resilience

import (
	"context"
	"time"

	"go-micro.dev/v4/client"
	"google.golang.org/protobuf/proto"
)

// Hedger is a client that can ask a second instance. Without it nothing is hedged.
type Hedger interface {
	// MayHedge says whether the service has another instance to ask, and takes the second call from the retry budget if it does.
	MayHedge(service string) bool
}

// hedged asks a second time when there is no answer after a while (Dean and Barroso, The Tail at Scale, 2013), and takes the first answer.
// failsafe-go's hedgepolicy does the same within a budget of its own; here hedges and retries have one budget between them, the client's.
func (c *guarded) hedged(ctx context.Context, g *guard, req client.Request, rsp any, opts []client.CallOption) error {
	out, ok := rsp.(proto.Message)
	h, can := c.Client.(Hedger)
	if !ok || !can {
		return c.Client.Call(ctx, req, rsp, opts...)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the slower one
	type answer struct {
		rsp    proto.Message
		err    error
		hedged bool
	}
	answers := make(chan answer, 2)
	ask := func(second bool) {
		into := out.ProtoReflect().New().Interface() // nobody waits for the slower one, so it has its own
		err := c.Client.Call(ctx, req, into, opts...)
		answers <- answer{into, err, second}
	}
	go ask(false)
	running := 1
	timer := time.NewTimer(g.hedge)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			if h.MayHedge(g.id.service) {
				g.r.metrics.hedges.WithLabelValues(g.id.service, "sent").Inc()
				running++
				go ask(true)
			} else {
				g.r.metrics.hedges.WithLabelValues(g.id.service, "refused").Inc()
			}
		case a := <-answers:
			if running--; a.err != nil && running > 0 && g.r.c.Failed(a.err) {
				continue // the other may do better
			}
			if a.err == nil {
				if a.hedged {
					g.r.metrics.hedges.WithLabelValues(g.id.service, "won").Inc()
				}
				proto.Reset(out)
				proto.Merge(out, a.rsp)
			}
			return a.err
		}
	}
}
