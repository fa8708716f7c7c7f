package idempotency

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"go-micro.dev/v4/server"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/data"
	"github.com/cleavehq/cleave/chassis/problem"
)

// guard is one module's.
type guard struct {
	c       Config
	methods map[string]bool

	mu      sync.Mutex
	running map[claim]bool // in this process
	swept   time.Time      // when the expired keys were last deleted
}

// claim is what is unique.
type claim struct{ scope, key string }

// call is one command under a key.
type call struct {
	claim
	mark string
	req  server.Request
	out  proto.Message
	next server.HandlerFunc
}

func (g *guard) wrap(next server.HandlerFunc) server.HandlerFunc {
	return func(ctx context.Context, req server.Request, rsp any) error {
		if !g.methods[req.Endpoint()] {
			return next(ctx, req, rsp)
		}
		key, err := Key(ctx)
		if err != nil {
			return err
		}
		in, isMessage := req.Body().(proto.Message)
		out, _ := rsp.(proto.Message)
		if key == "" || !isMessage || out == nil {
			return next(ctx, req, rsp)
		}
		mark, err := fingerprint(req.Endpoint(), in)
		if err != nil {
			return fmt.Errorf("fingerprint the request: %w", err)
		}
		c := call{mark: mark, req: req, out: out, next: next}
		c.claim = claim{scope: scope(req.Endpoint(), g.c.Subject(ctx)), key: key}
		return g.once(ctx, c)
	}
}

// once does the command, or answers as the first time.
func (g *guard) once(ctx context.Context, c call) error {
	if !g.enter(c.claim) {
		return inUse()
	}
	defer g.leave(c.claim)
	g.sweep(ctx)
	var refusal error
	err := data.Tx(ctx, g.c.DB, func(tx *sql.Tx) error {
		proto.Reset(c.out)
		refusal = nil
		t := table{tx: tx, claim: c.claim, now: g.c.Now(), keep: g.c.Keep}
		before, err := g.take(ctx, t, c.mark)
		switch {
		case err != nil:
			return err
		case before == nil:
			refusal, err = g.run(data.WithTx(ctx, g.c.DB, tx), t, c)
			return err
		case subtle.ConstantTimeCompare([]byte(before.mark), []byte(c.mark)) != 1:
			return problem.FailedPrecondition(ReasonReused, "the %s was used for another request", Header)
		}
		refusal, err = before.answer(c.out)
		return err
	})
	if err != nil {
		return err
	}
	return refusal
}

// take claims the key, and returns what is under it when it is taken. Another process that is at work under it holds its row: PostgreSQL
// then makes us wait for its end, and that is bounded here. (SQLite has one writer at a time, so it is over before we begin.)
func (g *guard) take(ctx context.Context, t table, mark string) (*row, error) {
	short, cancel := context.WithTimeout(ctx, g.c.Wait)
	defer cancel()
	before, err := t.take(short, mark)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		return nil, inUse()
	}
	return before, err
}

// run lets the handler work, and keeps its answer beside the work: of a refusal, in the place of the work. err means that nothing may be
// kept.
func (g *guard) run(ctx context.Context, t table, c call) (refusal, err error) {
	if err := t.exec(ctx, "SAVEPOINT idempotency"); err != nil {
		return nil, err
	}
	herr := c.next(ctx, c.req, c.out)
	if herr == nil {
		return nil, t.keepResponse(ctx, c.out)
	}
	p := problem.From(herr)
	if !definite(p.Code) {
		return nil, herr
	}
	if err := t.exec(ctx, "ROLLBACK TO SAVEPOINT idempotency"); err != nil {
		return nil, err
	}
	return herr, t.keepRefusal(ctx, p)
}

// definite says whether a refusal stands however often it is asked, until someone changes the state of the world.
func definite(c codes.Code) bool {
	switch c {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition:
		return true
	default:
		return false
	}
}

func inUse() error {
	return problem.Aborted(ReasonInUse, "a request with this %s is being worked on: ask again in a moment", Header)
}

func (g *guard) enter(c claim) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running[c] {
		return false
	}
	g.running[c] = true
	return true
}

func (g *guard) leave(c claim) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.running, c)
}

// The sweep deletes expired keys, at most so many before one command, and when there are no more then not again for a while. So it keeps
// up with whatever the rate is, and needs no one to run it.
const (
	sweepBatch = 500
	sweepEvery = time.Minute
)

func (g *guard) sweep(ctx context.Context) {
	now := g.c.Now()
	g.mu.Lock()
	due := now.Sub(g.swept) >= sweepEvery
	if due {
		g.swept = now
	}
	g.mu.Unlock()
	if !due {
		return
	}
	// The command doesn't depend on it, and it is tried again.
	if n, err := sweep(ctx, g.c.DB, now); err == nil && n == sweepBatch {
		g.mu.Lock()
		g.swept = time.Time{}
		g.mu.Unlock()
	}
}
