package rpc

import (
	"testing"
	"time"

	"go-micro.dev/v4/registry"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/chassis/problem"
	catalogv1 "github.com/cleavehq/cleave/proto/shop/catalog/v1"
)

func TestBucketsHoldTheirLatencies(t *testing.T) {
	for _, d := range []time.Duration{
		0, time.Microsecond, 3 * time.Microsecond, 17 * time.Microsecond, 999 * time.Microsecond, time.Millisecond, 1234567 * time.Microsecond,
		5 * time.Second, 30 * time.Second,
	} {
		i := bucket(d)
		if up := upper(i); d >= up || float64(up) > 1.26*float64(max(d, time.Microsecond))+2000 {
			t.Errorf("%s is in bucket %d, which ends at %s", d, i, up)
		}
		if i > 0 && d > 4*time.Microsecond && upper(i-1) > d+time.Microsecond {
			t.Errorf("%s is in bucket %d, and the one before ends at %s", d, i, upper(i-1))
		}
	}
	if i := bucket(time.Hour); i != buckets-1 {
		t.Errorf("an hour is in bucket %d", i)
	}
}

func TestStats(t *testing.T) {
	srv := &Server{}
	y := &srv.tally
	for i := range 100 {
		var err error
		switch {
		case i < 3:
			err = problem.Unavailable("DOWN", "down")
		case i < 9:
			err = problem.New(codes.NotFound, "NONE", "none")
		}
		d := time.Millisecond
		if i >= 98 {
			d = time.Second
		}
		y.add(err, d)
	}
	s := srv.Stats()
	if s.Calls != 100 || s.Failed != 3 {
		t.Errorf("%d calls, %d failed", s.Calls, s.Failed)
	}
	if p50, p99 := s.Quantile(0.5), s.Quantile(0.99); p50 < time.Millisecond || p50 > 1300*time.Microsecond || p99 < time.Second || p99 > 1300*time.Millisecond {
		t.Errorf("p50 %s, p99 %s", p50, p99)
	}
	if d := s.Minus(s); d.Calls != 0 || d.Quantile(0.99) != 0 || d.Plus(s) != s {
		t.Errorf("nothing is %+v", d)
	}
}

func TestStatsOf(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	s := serve(t, reg, "a", &shop{})
	c := catalogv1.NewCatalogService("catalog", dial(t, reg))
	for range 3 {
		if _, err := c.ListProducts(t.Context(), &catalogv1.ListProductsRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.SearchProducts(t.Context(), &catalogv1.SearchProductsRequest{Query: "tea"}); err == nil {
		t.Fatal("a broken search")
	}
	got, err := StatsOf(t.Context(), s.Address())
	if err != nil || got != s.Stats() || got.Calls != 4 || got.Failed != 1 || got.Quantile(1) == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := StatsOf(t.Context(), "127.0.0.1:1"); err == nil {
		t.Error("nobody is there, and it answers")
	}
}
