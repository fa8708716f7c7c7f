package webhook_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go-micro.dev/v4/metadata"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/idempotency"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
	webhookv1 "github.com/cleavehq/cleave/proto/shop/webhook/v1"
	"github.com/cleavehq/cleave/services/webhook"
)

// One host and one broker for all: each test has endpoints of its own, and deletes them.
func TestModule(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, test := range map[string]func(*testing.T, *world){
			"what an endpoint gets":    testWhatAnEndpointGets,
			"tried again, then dead":   testTriedAgainThenDead,
			"an endpoint that is gone": testAnEndpointThatIsGone,
			"an endpoint that is off":  testAnEndpointThatIsOff,
			"a slow endpoint":          testASlowEndpoint,
			"rotation":                 testRotation,
			"endpoints":                testEndpoints,
			"pages":                    testPages,
			"what fails":               testWhatFails,
			"nothing secret is shown":  testNothingSecretIsShown,
		} {
			t.Run(name, func(t *testing.T) { test(t, w) })
		}
	})
}

// What it asked for, once, signed, as it happened.
func testWhatAnEndpointGets(t *testing.T, w *world) {
	all, some := receive(t), receive(t)
	everyID, everySecret := w.endpoint(t, all.url)
	someID, someSecret := w.endpoint(t, some.url+"/path?q=1", "order.paid", "payment.updated")

	event := paidOrder()
	w.publish(t, event)
	w.publish(t, event) // again
	for _, r := range []struct {
		*receiver
		id     string
		secret any
	}{{all, everyID, everySecret}, {some, someID, someSecret}} {
		p := r.next(t)
		c := read(t, p)
		if p.id != event.GetEventId() || p.header.Get("Content-Type") != "application/json" || c.Type != "order.paid" || c.Data.EventID != nil ||
			!c.Timestamp.Equal(event.GetOccurredAt().AsTime()) || c.Data.Order.ID != event.GetOrder().GetId() || c.Data.Order.Total.Minor != "1999" {
			t.Errorf("got %v %s", p.header, p.body)
		}
		d := w.delivery(t, r.id, event.GetEventId(), is(delivered))
		if d.GetAttempts() != 1 || d.GetStatusCode() != http.StatusOK || d.GetError() != "" || d.GetNextAttemptTime() != nil || d.GetEventType() != "order.paid" {
			t.Errorf("%v", d)
		}
		if err := p.verify(w, everySecret, someSecret); err != nil {
			t.Errorf("%v", err)
		}
	}

	// Everything there is, to the one that wants everything.
	order, at := event.GetOrder(), timestamppb.Now()
	want := map[string]string{}
	want[w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), OccurredAt: at, Order: order})] = "order.confirmed"
	want[w.publish(t, &orderv1.OrderCancelled{EventId: uuid.NewString(), OccurredAt: at, Order: order})] = "order.cancelled"
	want[w.publish(t, &orderv1.OrderShipped{EventId: uuid.NewString(), OccurredAt: at, Order: order})] = "order.shipped"
	want[w.publish(t, &orderv1.OrderDelivered{EventId: uuid.NewString(), OccurredAt: at, Order: order})] = "order.delivered"
	want[w.publish(t, &orderv1.OrderRefunded{EventId: uuid.NewString(), OccurredAt: at, Order: order})] = "order.refunded"
	want[w.publish(t, &orderv1.OrderReturned{EventId: uuid.NewString(), OccurredAt: at, Order: order})] = "order.returned"
	payment := &paymentv1.PaymentRecord{Id: uuid.NewString()}
	want[w.publish(t, &paymentv1.PaymentUpdated{EventId: uuid.NewString(), OccurredAt: at, Payment: payment})] = "payment.updated"
	got := map[string]string{}
	for range len(want) {
		p := all.next(t)
		got[p.id] = read(t, p).Type
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if p := some.next(t); read(t, p).Data.Payment.ID != payment.GetId() {
		t.Errorf("got %s", p.body)
	}
	if len(all.posts)+len(some.posts) > 0 {
		t.Error("something was posted twice")
	}
}

// Ten attempts on the schedule, with the same id and a new signature; then it is dead, and can be replayed.
func testTriedAgainThenDead(t *testing.T, w *world) {
	r := receive(t)
	r.status.Store(http.StatusInternalServerError)
	id, secret := w.endpoint(t, r.url)
	event := w.paid(t)
	first := r.next(t)
	for n, wait := range []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	} {
		d := w.delivery(t, id, event, func(d *webhookv1.Delivery) bool { return int(d.GetAttempts()) == n+1 })
		next := d.GetNextAttemptTime().AsTime().Sub(d.GetUpdateTime().AsTime())
		if d.GetState() != pending || d.GetStatusCode() != 500 || d.GetError() != "STATUS" || next < wait-wait/10 || next > wait+wait/10 {
			t.Fatalf("after attempt %d: %v, in %v", n+1, d, next)
		}
		w.jump(next - time.Second)
		if len(r.posts) > 0 {
			t.Errorf("attempt %d came early", n+2)
		}
		w.jump(2 * time.Second)
		p := r.next(t)
		if p.id != first.id || !bytes.Equal(p.body, first.body) || p.timestamp == first.timestamp || p.signature == first.signature {
			t.Errorf("attempt %d: %v", n+2, p)
		}
		if err := p.verify(w, secret); err != nil {
			t.Errorf("attempt %d: %v", n+2, err)
		}
	}
	d := w.delivery(t, id, event, is(dead))
	if d.GetAttempts() != 10 || d.GetNextAttemptTime() != nil {
		t.Errorf("%v", d)
	}

	ctx := t.Context()
	r.status.Store(0)
	if d, err := w.ReplayDelivery(ctx, &webhookv1.ReplayDeliveryRequest{DeliveryId: d.GetId()}); err != nil || d.GetState() != pending || d.GetAttempts() != 0 {
		t.Errorf("%v, %v", d, err)
	}
	if p := r.next(t); p.id != first.id {
		t.Errorf("replayed as %s", p.id)
	}
	w.delivery(t, id, event, is(delivered))

	// Nothing is dead, so nothing is replayed; one that was taken is, when it is meant.
	since := &webhookv1.ReplayEndpointRequest{EndpointId: id, Since: d.GetCreateTime()}
	if all, err := w.ReplayEndpoint(ctx, since); err != nil || all.GetReplayed() != 0 {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := w.ReplayDelivery(ctx, &webhookv1.ReplayDeliveryRequest{DeliveryId: d.GetId()}); err != nil {
		t.Error(err)
	}
	r.next(t)
	// Under a key it is done once.
	w.delivery(t, id, event, is(delivered))
	keyed := metadata.Set(ctx, idempotency.Header, uuid.NewString())
	for range 2 {
		if _, err := w.ReplayDelivery(keyed, &webhookv1.ReplayDeliveryRequest{DeliveryId: d.GetId()}); err != nil {
			t.Error(err)
		}
		w.delivery(t, id, event, is(delivered))
	}
	r.next(t)
	if len(r.posts) > 0 {
		t.Error("replayed twice")
	}
	wantErr(t, second(w.ReplayDelivery(ctx, &webhookv1.ReplayDeliveryRequest{DeliveryId: uuid.NewString()})), codes.NotFound, webhook.ReasonDeliveryNotFound)
}

func testAnEndpointThatIsGone(t *testing.T, w *world) {
	ctx, r := t.Context(), receive(t)
	r.status.Store(http.StatusServiceUnavailable)
	id, _ := w.endpoint(t, r.url)
	waits := w.paid(t)
	w.delivery(t, id, waits, func(d *webhookv1.Delivery) bool { return d.GetAttempts() == 1 })
	r.status.Store(http.StatusGone)
	event := w.paid(t)
	for _, event := range []string{event, waits} { // the one that was waiting dies with it
		if d := w.delivery(t, id, event, is(dead)); d.GetError() != "GONE" {
			t.Errorf("%v", d)
		}
	}
	e, err := w.GetEndpoint(ctx, &webhookv1.GetEndpointRequest{EndpointId: id})
	if err != nil || !e.GetDisabled() || e.GetDisabledReason() != "GONE" {
		t.Errorf("%v, %v", e, err)
	}
	since := &webhookv1.ReplayEndpointRequest{EndpointId: id, Since: e.GetCreateTime()}
	wantErr(t, second(w.ReplayEndpoint(ctx, since)), codes.FailedPrecondition, webhook.ReasonDisabled)

	r.status.Store(0)
	e, err = w.UpdateEndpoint(ctx, &webhookv1.UpdateEndpointRequest{EndpointId: id, Url: r.url})
	if err != nil || e.GetDisabled() || e.GetDisabledReason() != "" {
		t.Errorf("%v, %v", e, err)
	}
	if all, err := w.ReplayEndpoint(ctx, since); err != nil || all.GetReplayed() != 2 {
		t.Errorf("%v, %v", all, err)
	}
	for _, event := range []string{event, waits} {
		w.delivery(t, id, event, is(delivered))
	}
}

// While an endpoint is off, what happens is not for it; what was on its way waits.
func testAnEndpointThatIsOff(t *testing.T, w *world) {
	ctx, r, other := t.Context(), receive(t), receive(t)
	r.status.Store(http.StatusBadGateway)
	id, _ := w.endpoint(t, r.url)
	otherID, _ := w.endpoint(t, other.url)
	waits := w.paid(t)
	d := w.delivery(t, id, waits, func(d *webhookv1.Delivery) bool { return d.GetAttempts() == 1 })
	off := &webhookv1.UpdateEndpointRequest{EndpointId: id, Url: r.url, Disabled: true, EventTypes: []string{"order.paid"}}
	if e, err := w.UpdateEndpoint(ctx, off); err != nil || !e.GetDisabled() || e.GetDisabledReason() != "" || !slices.Equal(e.GetEventTypes(), off.GetEventTypes()) {
		t.Errorf("%v, %v", e, err)
	}
	wantErr(t, second(w.ReplayDelivery(ctx, &webhookv1.ReplayDeliveryRequest{DeliveryId: d.GetId()})), codes.FailedPrecondition, webhook.ReasonDisabled)
	w.jump(time.Hour)
	missed := w.paid(t)
	w.delivery(t, otherID, missed, is(delivered))
	if len(r.posts) != 1 {
		t.Errorf("%d were posted", len(r.posts))
	}
	r.status.Store(0)
	if _, err := w.UpdateEndpoint(ctx, &webhookv1.UpdateEndpointRequest{EndpointId: id, Url: r.url}); err != nil {
		t.Fatal(err)
	}
	w.delivery(t, id, waits, is(delivered))
	list, err := w.ListDeliveries(ctx, &webhookv1.ListDeliveriesRequest{EndpointId: id})
	if err != nil || len(list.GetDeliveries()) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

func testRotation(t *testing.T, w *world) {
	ctx, r := t.Context(), receive(t)
	id, first := w.endpoint(t, r.url)
	rotate := func(overlap *int32) (*webhookv1.EndpointWithSecret, error) {
		return w.RotateSecret(ctx, &webhookv1.RotateSecretRequest{EndpointId: id, OverlapSeconds: overlap})
	}
	signs := func(secret string, want bool) {
		t.Helper()
		w.paid(t)
		p := r.next(t)
		s := secrets(t, secret)
		if err := p.verify(w, s...); (err == nil) != want {
			t.Errorf("%s: %v", p.signature, err)
		}
	}
	next, err := rotate(nil)
	if err != nil || next.GetSecret() == first.Reveal() || next.GetEndpoint().GetId() != id {
		t.Fatal(err)
	}
	signs(first.Reveal(), true)
	signs(next.GetSecret(), true)
	w.jump(25 * time.Hour)
	signs(first.Reveal(), false)
	signs(next.GetSecret(), true)

	leaked := next
	if next, err = rotate(proto.Int32(0)); err != nil {
		t.Fatal(err)
	}
	signs(leaked.GetSecret(), false)
	signs(next.GetSecret(), true)
	for range webhook.MaxSecrets - 1 {
		if _, err := rotate(proto.Int32(3600)); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, second(rotate(proto.Int32(3600))), codes.FailedPrecondition, webhook.ReasonTooManySecrets)
	signs(next.GetSecret(), true) // the refusal has changed nothing
	if _, err := rotate(proto.Int32(0)); err != nil {
		t.Error(err)
	}
	signs(next.GetSecret(), false)
	_, err = w.RotateSecret(ctx, &webhookv1.RotateSecretRequest{EndpointId: uuid.NewString()})
	wantErr(t, err, codes.NotFound, webhook.ReasonEndpointNotFound)
}

func testEndpoints(t *testing.T, w *world) {
	ctx := t.Context()
	create := func(url string, types ...string) (*webhookv1.EndpointWithSecret, error) {
		return w.CreateEndpoint(ctx, &webhookv1.CreateEndpointRequest{Url: url, EventTypes: types})
	}
	for _, url := range []string{"https://10.0.0.1/", "https://169.254.169.254/", "ftp://example.com/", "https://me:secret@example.com/", "http://192.168.0.1"} {
		_, err := create(url)
		wantErr(t, err, codes.InvalidArgument, webhook.ReasonURLForbidden)
		if strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("shown: %v", err)
		}
	}
	wantErr(t, second(create("https://example.com", "order.eaten")), codes.InvalidArgument, webhook.ReasonUnknownType)
	wantErr(t, second(create("no url")), codes.InvalidArgument, "INVALID_FIELDS")
	wantErr(t, second(create("https://example.com", "order.paid", "order.paid")), codes.InvalidArgument, "INVALID_FIELDS")
	nobody := uuid.NewString()
	wantErr(t, second(w.GetEndpoint(ctx, &webhookv1.GetEndpointRequest{EndpointId: nobody})), codes.NotFound, webhook.ReasonEndpointNotFound)
	wantErr(t, second(w.DeleteEndpoint(ctx, &webhookv1.DeleteEndpointRequest{EndpointId: nobody})), codes.NotFound, webhook.ReasonEndpointNotFound)
	wantErr(t, second(w.ListDeliveries(ctx, &webhookv1.ListDeliveriesRequest{EndpointId: nobody})), codes.NotFound, webhook.ReasonEndpointNotFound)
	update := &webhookv1.UpdateEndpointRequest{EndpointId: nobody, Url: "https://example.com"}
	wantErr(t, second(w.UpdateEndpoint(ctx, update)), codes.NotFound, webhook.ReasonEndpointNotFound)

	// There are so many and no more.
	var ids []string
	for range webhook.MaxEndpoints {
		e, err := create("https://example.com/hook", "payment.updated")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.GetEndpoint().GetId())
	}
	wantErr(t, second(create("https://example.com/hook")), codes.FailedPrecondition, webhook.ReasonTooManyEndpoints)
	slices.Reverse(ids) // the newest first
	var got []string
	token := ""
	for {
		page, err := w.ListEndpoints(ctx, &webhookv1.ListEndpointsRequest{PageSize: 33, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.GetEndpoints() {
			got = append(got, e.GetId())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.Equal(got, ids) {
		t.Errorf("got %v", got)
	}
	for _, id := range ids {
		if _, err := w.DeleteEndpoint(ctx, &webhookv1.DeleteEndpointRequest{EndpointId: id}); err != nil {
			t.Fatal(err)
		}
	}
}

func testPages(t *testing.T, w *world) {
	ctx, r := t.Context(), receive(t)
	id, _ := w.endpoint(t, r.url)
	var want, got []string
	for range 5 {
		event := w.paid(t)
		want = append(want, event)
		w.delivery(t, id, event, is(delivered))
	}
	slices.Reverse(want)
	token := ""
	for range 3 {
		page, err := w.ListDeliveries(ctx, &webhookv1.ListDeliveriesRequest{EndpointId: id, PageSize: 2, PageToken: token, State: delivered})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.GetDeliveries() {
			got = append(got, d.GetEventId())
		}
		token = page.GetNextPageToken()
	}
	if !slices.Equal(got, want) || token != "" {
		t.Errorf("got %v, want %v, then %q", got, want, token)
	}
	page, err := w.ListDeliveries(ctx, &webhookv1.ListDeliveriesRequest{EndpointId: id, PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	other := &webhookv1.ListDeliveriesRequest{EndpointId: id, State: dead}
	if none, err := w.ListDeliveries(ctx, other); err != nil || len(none.GetDeliveries()) != 0 {
		t.Errorf("%v, %v", none, err)
	}
	other.PageToken = page.GetNextPageToken() // of another filter
	wantErr(t, second(w.ListDeliveries(ctx, other)), codes.InvalidArgument, webhook.ReasonPageTokenInvalid)
}
