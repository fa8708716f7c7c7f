package resilience_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cleavehq/cleave/chassis/kv"
	"github.com/cleavehq/cleave/chassis/resilience"
	cleavev1 "github.com/cleavehq/cleave/proto/cleave/v1"
)

// contract makes a service T with the methods Get, which has no side effects, and Set.
func contract(t *testing.T, service, get, set *cleavev1.Resilience) (g, s protoreflect.MethodDescriptor) {
	t.Helper()
	options := func(r *cleavev1.Resilience, level descriptorpb.MethodOptions_IdempotencyLevel) *descriptorpb.MethodOptions {
		o := &descriptorpb.MethodOptions{IdempotencyLevel: level.Enum()}
		if r != nil {
			proto.SetExtension(o, cleavev1.E_Resilience, r)
		}
		return o
	}
	so := &descriptorpb.ServiceOptions{}
	if service != nil {
		proto.SetExtension(so, cleavev1.E_ServiceResilience, service)
	}
	fd, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("t.proto"), Package: proto.String("t.v1"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("M")}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("T"), Options: so, Method: []*descriptorpb.MethodDescriptorProto{
			{Name: proto.String("Get"), InputType: proto.String(".t.v1.M"), OutputType: proto.String(".t.v1.M"), Options: options(get, descriptorpb.MethodOptions_NO_SIDE_EFFECTS)},
			{Name: proto.String("Set"), InputType: proto.String(".t.v1.M"), OutputType: proto.String(".t.v1.M"), Options: options(set, descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN)},
		}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	m := fd.Services().Get(0).Methods()
	return m.Get(0), m.Get(1)
}

func TestEachValueRemembersWhoSaidIt(t *testing.T) {
	get, set := contract(t,
		&cleavev1.Resilience{HedgeAfter: durationpb.New(50 * time.Millisecond), Priority: cleavev1.Priority_PRIORITY_SHEDDABLE},
		&cleavev1.Resilience{Timeout: durationpb.New(1500 * time.Millisecond), Breaker: &cleavev1.Breaker{MinCalls: proto.Int32(5)}},
		&cleavev1.Resilience{Priority: cleavev1.Priority_PRIORITY_CRITICAL, Breaker: &cleavev1.Breaker{Off: proto.Bool(true)}})
	rules, err := resilience.NewRules(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	rules.Take(t.Context(), map[string][]byte{"t.v1.T/Get": []byte(`{"bulkhead": 7, "breaker": {"open_for": "10s"}}`)})
	s, err := rules.Of(get)
	if err != nil {
		t.Fatal(err)
	}
	if s.Timeout != (resilience.Value[resilience.Duration]{Value: resilience.Duration(1500 * time.Millisecond), From: resilience.ContractMethod}) ||
		s.HedgeAfter.Value != resilience.Duration(50*time.Millisecond) || s.HedgeAfter.From != resilience.ContractService ||
		s.Bulkhead.Value != 7 || s.Bulkhead.From != "operator: t.v1.T/Get" || s.Priority.Value != resilience.Sheddable ||
		s.Breaker.Value != (resilience.Breaker{
			FailurePercent: 50, MinCalls: 5, Window: resilience.Duration(10 * time.Second), OpenFor: resilience.Duration(10 * time.Second),
		}) {
		t.Errorf("%+v", s)
	}
	s, err = rules.Of(set)
	if err != nil || s.HedgeAfter.Value != 0 || s.HedgeAfter.From != resilience.Default || s.Priority.Value != resilience.Critical ||
		!s.Breaker.Value.Off || s.Timeout.From != resilience.Default {
		t.Errorf("%+v, %v; what has side effects is not hedged", s, err)
	}
}

func TestAContractThatIsWrong(t *testing.T) {
	get, set := contract(t, nil, &cleavev1.Resilience{Timeout: durationpb.New(time.Hour)}, &cleavev1.Resilience{HedgeAfter: durationpb.New(time.Second)})
	rules, err := resilience.NewRules(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := rules.Of(get); err == nil || s.Timeout.Value != 0 {
		t.Errorf("a timeout of an hour: %+v", s)
	}
	if s, err := rules.Of(set); err == nil || s.HedgeAfter.Value != 0 {
		t.Errorf("a hedge of what has side effects: %+v", s)
	}
}

func TestTheLastGoodOverrideStays(t *testing.T) {
	get, _ := contract(t, nil, nil, nil)
	metrics := prometheus.NewRegistry()
	rules, err := resilience.NewRules(nil, metrics)
	if err != nil {
		t.Fatal(err)
	}
	const key = "t.v1.T/Get"
	bulkhead := func() int {
		s, err := rules.Of(get)
		if err != nil {
			t.Fatal(err)
		}
		return s.Bulkhead.Value
	}
	for _, bad := range []string{`{"bulkhead": 0}`, `{"bulkhed": 5}`, `{`, `null`, `{"timeout": "1h"}`, `{"priority": "urgent"}`, `{"breaker": {"failure_percent": 101}}`, `{} {}`} {
		rules.Take(t.Context(), map[string][]byte{key: []byte(`{"bulkhead": 5}`)})
		rules.Take(t.Context(), map[string][]byte{key: []byte(bad)})
		rules.Take(t.Context(), map[string][]byte{key: []byte(bad)}) // counted once
		if bulkhead() != 5 || rules.Rejected()[key] == "" {
			t.Errorf("after %s the bulkhead is %d; rejected %v", bad, bulkhead(), rules.Rejected())
		}
	}
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(`
# HELP resilience_overrides_rejected_total Overrides of an operator that were wrong, and not taken.
# TYPE resilience_overrides_rejected_total counter
resilience_overrides_rejected_total 8
`)); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rules.Follow(ctx, kv.Static{}); err == nil || bulkhead() != 0 || len(rules.Rejected()) != 0 {
		t.Errorf("taken back: the bulkhead is %d, %v", bulkhead(), err)
	}
	if resilience.CheckOverride("no key", []byte(`{}`)) == nil || resilience.CheckOverride(key, make([]byte, 5000)) == nil {
		t.Error("a wrong key, or a large document, was taken")
	}
}
