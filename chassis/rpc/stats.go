package rpc

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"go-micro.dev/v4/server"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/chassis/rpc/internal/callctx"
)

// statsMethod is served by every server over gRPC, beside health and reflection: google.protobuf.Empty to google.protobuf.Struct.
const (
	statsService = "cleave.rpc.v1.Stats"
	statsMethod  = "/" + statsService + "/Get"
)

// buckets are those of the latencies: four for each power of two of microseconds, up to 2^26 us, which is 67 s.
const buckets = 4 * 27

// Stats is what one server has done since it started. Two of them, one taken from the other, are what it did in between.
type Stats struct {
	// Calls that have ended, unary ones; those that came directly among them.
	Calls int64
	// Failed are those of them that the server is to blame for: INTERNAL, UNKNOWN, UNAVAILABLE, DEADLINE_EXCEEDED, DATA_LOSS.
	Failed int64

	latency [buckets]int64
}

// Minus is what was done since before.
func (s Stats) Minus(before Stats) Stats {
	s.Calls -= before.Calls
	s.Failed -= before.Failed
	for i := range s.latency {
		s.latency[i] -= before.latency[i]
	}
	return s
}

// Plus is what two servers did together.
func (s Stats) Plus(other Stats) Stats {
	s.Calls += other.Calls
	s.Failed += other.Failed
	for i := range s.latency {
		s.latency[i] += other.latency[i]
	}
	return s
}

// Quantile returns the latency that a part q of the calls stayed below, 0 < q <= 1, rounded up by at most a quarter; 0 without calls.
func (s Stats) Quantile(q float64) time.Duration {
	var n int64
	for _, c := range &s.latency {
		n += c
	}
	left := int64(q * float64(n))
	for i, c := range &s.latency {
		if left -= c; c > 0 && left <= 0 {
			return upper(i)
		}
	}
	return 0
}

// bucket is the index of a latency.
func bucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 1))
	e := bits.Len64(us) - 1
	quarter := us << 2 >> e & 3 // the two bits after the highest one
	return min(4*e+int(quarter), buckets-1)
}

// upper is the end of a bucket.
func upper(i int) time.Duration {
	e, quarter := i/4, i%4
	return time.Duration(int64(5+quarter)<<e>>2+1) * time.Microsecond
}

// tally counts.
type tally struct {
	failed  atomic.Int64
	latency [buckets]atomic.Int64 // together, the calls
}

func (t *tally) add(err error, d time.Duration) {
	if err != nil && blamed(problem.From(err).Code) {
		t.failed.Add(1)
	}
	t.latency[bucket(d)].Add(1)
}

func blamed(c codes.Code) bool {
	switch c {
	case codes.Internal, codes.Unknown, codes.Unavailable, codes.DeadlineExceeded, codes.DataLoss:
		return true
	default:
		return false
	}
}

// Stats returns what the server has done.
func (s *Server) Stats() Stats {
	out := Stats{Failed: s.tally.failed.Load()}
	for i := range out.latency {
		out.latency[i] = s.tally.latency[i].Load()
		out.Calls += out.latency[i]
	}
	return out
}

// counted counts what next does.
func (s *Server) counted(next server.HandlerFunc) server.HandlerFunc {
	return func(ctx context.Context, req server.Request, rsp any) error {
		own, here := ctx.(*callctx.Context)
		start := s.clock.now()
		err := next(ctx, req, rsp)
		end := s.clock.now()
		if !req.Stream() {
			s.tally.add(err, end.Sub(start))
		}
		if here { // else guard has told
			s.observed(own, req.Endpoint(), arrivalOf(req), start, end, err)
		}
		return err
	}
}

// plainly is counted for a unary call over the lane of a method that nothing is wrapped around.
func (s *Server) plainly(ctx *callctx.Context, m *method, in, out proto.Message) error {
	start := s.clock.now()
	err := m.plainly(ctx, nil, in, out)
	end := s.clock.now()
	s.tally.add(err, end.Sub(start))
	s.observed(ctx, m.name, overWire, start, end, err)
	return err
}

// statsDesc is the service that StatsOf calls.
func (s *Server) statsDesc() *grpc.ServiceDesc {
	get := func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		if err := decode(&emptypb.Empty{}); err != nil {
			return nil, err
		}
		return s.Stats().message(), nil
	}
	return &grpc.ServiceDesc{
		ServiceName: statsService, HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{MethodName: "Get", Handler: get}},
	}
}

func (s Stats) message() *structpb.Struct {
	latency := make([]*structpb.Value, buckets)
	for i, n := range &s.latency {
		latency[i] = structpb.NewNumberValue(float64(n))
	}
	return &structpb.Struct{Fields: map[string]*structpb.Value{
		"calls": structpb.NewNumberValue(float64(s.Calls)), "failed": structpb.NewNumberValue(float64(s.Failed)),
		"latency": structpb.NewListValue(&structpb.ListValue{Values: latency}),
	}}
}

// StatsOf asks the server at an address, which is ready when it answers: this is a probe as well. It asks in the clear unless opts have
// credentials. It ends with ctx.
func StatsOf(ctx context.Context, address string, opts ...grpc.DialOption) (Stats, error) {
	conn, err := grpc.NewClient("passthrough:///"+address,
		append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, opts...)...)
	if err != nil {
		return Stats{}, fmt.Errorf("stats of %s: %w", address, err)
	}
	defer func() { _ = conn.Close() }()
	m := &structpb.Struct{}
	if err := conn.Invoke(ctx, statsMethod, &emptypb.Empty{}, m); err != nil {
		return Stats{}, fmt.Errorf("stats of %s: %w", address, problem.From(err))
	}
	out := Stats{Calls: int64(m.GetFields()["calls"].GetNumberValue()), Failed: int64(m.GetFields()["failed"].GetNumberValue())}
	values := m.GetFields()["latency"].GetListValue().GetValues()
	if len(values) != buckets {
		return Stats{}, errors.New("stats of " + address + ": the server is of another version")
	}
	for i, v := range values {
		out.latency[i] = int64(v.GetNumberValue())
	}
	return out, nil
}

// described are the services that have a descriptor to be shown by reflection.
type described struct{ *grpc.Server }

// GetServiceInfo implements reflection.ServiceInfoProvider.
func (d described) GetServiceInfo() map[string]grpc.ServiceInfo {
	all := d.Server.GetServiceInfo()
	delete(all, statsService)
	return all
}

// Histogram is the latencies as Prometheus counts them: how many calls there were, how many seconds they took, roughly, and how many took at most so
// many seconds, by two bounds for each power of two from 64 us to 67 s.
func (s Stats) Histogram() (count uint64, sum float64, atMost map[float64]uint64) {
	const first = 6 // 2^6 us
	atMost = make(map[float64]uint64, buckets/2)
	for i, c := range &s.latency {
		end := upper(i).Seconds()
		count += uint64(max(c, 0))
		sum += float64(c) * end * 0.9
		if i/4 >= first && i%2 == 1 {
			atMost[end] = count
		}
	}
	return count, sum, atMost
}
