package host

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"

	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cleavehq/cleave/chassis/fault"
	"github.com/cleavehq/cleave/chassis/idempotency"
)

// The failpoints of every module in a host.
const (
	// pointCall is hit by every unary call before its handler.
	pointCall = "rpc.call.before"
	// pointLost is hit when a command has been done that may be sent again, because its contract says that it is idempotent, or because
	// it has an Idempotency-Key: once for each command, whatever is sent again. With the action error its answer is lost.
	pointLost = "rpc.answer.lost"
)

// faulty puts the failpoints around the handlers of a module, when some are armed.
func (h *Host) faulty(m Module, s server.Server) error {
	if h.c.Fault == nil {
		return nil
	}
	f := &faulty{points: h.c.Fault, log: h.c.Log, levels: levels(m.Contract), seen: map[[sha256.Size]byte]bool{}}
	return s.Init(server.WrapHandler(f.wrap))
}

type faulty struct {
	points *fault.Points
	log    *slog.Logger
	levels map[string]descriptorpb.MethodOptions_IdempotencyLevel // by endpoint

	mu   sync.Mutex
	seen map[[sha256.Size]byte]bool // commands whose point was hit
}

// levels are what a contract says of its methods, by endpoint: Service.Method.
func levels(contract protoreflect.FileDescriptor) map[string]descriptorpb.MethodOptions_IdempotencyLevel {
	out := map[string]descriptorpb.MethodOptions_IdempotencyLevel{}
	for i := range contract.Services().Len() {
		sd := contract.Services().Get(i)
		for j := range sd.Methods().Len() {
			md := sd.Methods().Get(j)
			o, _ := md.Options().(*descriptorpb.MethodOptions)
			out[string(sd.Name())+"."+string(md.Name())] = o.GetIdempotencyLevel()
		}
	}
	return out
}

func (f *faulty) wrap(next server.HandlerFunc) server.HandlerFunc {
	return func(ctx context.Context, req server.Request, rsp any) error {
		in, ok := req.Body().(proto.Message)
		if !ok || req.Stream() {
			return next(ctx, req, rsp)
		}
		if err := f.points.Hit(ctx, pointCall); err != nil {
			return err
		}
		if err := next(ctx, req, rsp); err != nil || !f.first(ctx, req.Endpoint(), in) {
			return err
		}
		err := f.points.Hit(ctx, pointLost)
		if err != nil {
			f.log.WarnContext(ctx, "an answer is lost, as the failpoint says", "endpoint", req.Endpoint())
		}
		return err
	}
}

// first says that a call is a command that may be sent again, and is seen for the first time.
func (f *faulty) first(ctx context.Context, endpoint string, in proto.Message) bool {
	key, _ := idempotency.Key(ctx) // the handler has refused one that is wrong
	switch f.levels[endpoint] {
	case descriptorpb.MethodOptions_NO_SIDE_EFFECTS:
		return false
	case descriptorpb.MethodOptions_IDEMPOTENT:
	default:
		if key == "" {
			return false
		}
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(in)
	if err != nil {
		return false
	}
	id := sha256.Sum256(append([]byte(endpoint+"\x00"+key+"\x00"), b...))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[id] {
		return false
	}
	f.seen[id] = true
	return true
}
