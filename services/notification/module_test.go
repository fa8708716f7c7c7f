package notification_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	notificationv1 "github.com/cleavehq/cleave/proto/shop/notification/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/notification"
	"github.com/cleavehq/cleave/services/notification/internal/smtptest"
)

// One host, one broker and one mail server for all: each test has people of its own.
func TestModule(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, test := range []struct {
			name string
			run  func(*testing.T, *world)
		}{
			{"the mails of an order", testTheMailsOfAnOrder},
			{"a checkout that failed", testACheckoutThatFailed},
			{"a secret", testASecret},
			{"tried again, then dead", testTriedAgainThenDead},
			{"refused for good", testRefusedForGood},
			{"the answer is lost", testTheAnswerIsLost},
			{"resend", testResend},
			{"an erased customer", testAnErasedCustomer},
			{"pages", testPages},
			{"nothing secret is shown", testNothingSecretIsShown},
		} {
			t.Run(test.name, func(t *testing.T) { test.run(t, w) })
		}
	})
}

func testTheMailsOfAnOrder(t *testing.T, w *world) {
	o := placed()
	confirmed := &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: o}
	w.publish(t, confirmed)
	w.publish(t, confirmed) // again
	m := w.mail(t, confirmed.GetEventId(), sent)
	if m.GetTemplate() != "order_confirmed" || m.GetTo() != o.GetEmail() || m.GetLocale() != "en" || m.GetAttempts() != 1 || m.GetError() != "" ||
		!strings.Contains(m.GetText(), "19.99 EUR") || !strings.Contains(m.GetHtml(), "Blue mug") || !strings.Contains(m.GetSubject(), "order") {
		t.Errorf("%v", m)
	}
	refund := &orderv1.OrderRefund{Amount: &typev1.Money{Currency: "EUR", Minor: 500}, Reason: "a scratch"}
	for template, event := range map[string]string{
		"order_shipped":   w.publish(t, &orderv1.OrderShipped{EventId: uuid.NewString(), Order: o}),
		"order_refunded":  w.publish(t, &orderv1.OrderRefunded{EventId: uuid.NewString(), Order: o, Refund: refund}),
		"order_cancelled": w.publish(t, &orderv1.OrderCancelled{EventId: uuid.NewString(), Order: o}),
	} {
		if m := w.mail(t, event, sent); m.GetTemplate() != template {
			t.Errorf("%v", m)
		}
	}
	w.publish(t, confirmed) // and again
	last := placed()
	w.mail(t, w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: last}), sent)
	got := w.posted(o.GetEmail())
	if len(got) != 4 || !strings.Contains(got[0].Data, "Message-ID: <"+confirmed.GetEventId()+"@example.com>") {
		t.Errorf("%d were posted: %v", len(got), got)
	}
}

func testACheckoutThatFailed(t *testing.T, w *world) {
	o := placed()
	event := w.publish(t, &orderv1.OrderCancelled{EventId: uuid.NewString(), Order: o})
	after := placed() // heard later on the same topic, so the first was heard
	w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: after})
	w.until(t, w.publish(t, &orderv1.OrderShipped{EventId: uuid.NewString(), Order: after}), func(*notificationv1.Mail) bool { return true })
	if m := w.find(t, event); m != nil {
		t.Errorf("%v", m)
	}
}

func reset(to, token string, expires time.Time) *customerv1.PasswordResetRequested {
	return &customerv1.PasswordResetRequested{
		EventId: uuid.NewString(), CustomerId: uuid.NewString(), Email: to, Name: "Ada", Locale: "de-DE", ResetToken: token, TokenExpireTime: timestamppb.New(expires),
	}
}

// A token goes to who it is for, and to nobody who asks for the mail.
func testASecret(t *testing.T, w *world) {
	to, now := "grace-"+uuid.NewString()+"@example.org", time.Now().Add(time.Duration(w.ahead.Load()))
	verify := &customerv1.CustomerRegistered{
		EventId: uuid.NewString(), CustomerId: uuid.NewString(), Email: to, Name: "Grace", VerificationToken: "token-canary-1", TokenExpireTime: timestamppb.New(now.Add(time.Hour)),
	}
	for _, event := range []string{w.publish(t, verify), w.publish(t, reset(to, "token-canary-2", now.Add(time.Hour)))} {
		m := w.mail(t, event, sent)
		if m.GetText() != "" || m.GetHtml() != "" || strings.Contains(m.String(), "canary") {
			t.Errorf("%v", m)
		}
		_, err := w.ResendNotification(t.Context(), &notificationv1.ResendNotificationRequest{NotificationId: m.GetId()})
		wantErr(t, err, codes.FailedPrecondition, notification.ReasonErased)
	}
	got := w.posted(to)
	if len(got) != 2 || !strings.Contains(got[0].Data+got[1].Data, "token-canary-1") || !strings.Contains(got[0].Data+got[1].Data, "token-canary-2") {
		t.Errorf("posted: %v", got)
	}
	repeated := &customerv1.RegistrationRepeated{EventId: uuid.NewString(), CustomerId: uuid.NewString(), Email: to}
	if m := w.mail(t, w.publish(t, repeated), sent); m.GetTemplate() != "account_exists" || m.GetText() == "" {
		t.Errorf("%v", m)
	}

	// Of no more use when it could be sent.
	late := reset(to, "token-canary-3", now.Add(time.Minute))
	w.post.Answer("MAIL", "451 later")
	w.until(t, w.publish(t, late), func(m *notificationv1.Mail) bool { return m.GetAttempts() == 1 })
	w.jump(2 * time.Minute)
	if m := w.mail(t, late.GetEventId(), dead); m.GetError() != "EXPIRED" {
		t.Errorf("%v", m)
	}
	if n := len(w.posted(to)); n != 3 {
		t.Errorf("%d were posted", n)
	}
}

func testTriedAgainThenDead(t *testing.T, w *world) {
	o := placed()
	w.post.Answer("RCPT", slices.Repeat([]string{"450 full"}, 13)...)
	event := w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: o})
	for n := 1; n <= 12; n++ {
		m := w.until(t, event, func(m *notificationv1.Mail) bool { return int(m.GetAttempts()) == n })
		if m.GetState() != pending || m.GetError() != "SMTP_450" || !m.GetNextAttemptTime().AsTime().After(m.GetUpdateTime().AsTime()) {
			t.Fatalf("after attempt %d: %v", n, m)
		}
		w.jump(m.GetNextAttemptTime().AsTime().Sub(m.GetUpdateTime().AsTime()) + time.Second)
	}
	m := w.mail(t, event, dead)
	if m.GetAttempts() != 13 || len(w.posted(o.GetEmail())) != 0 {
		t.Errorf("%v", m)
	}
	if _, err := w.ResendNotification(t.Context(), &notificationv1.ResendNotificationRequest{NotificationId: m.GetId()}); err != nil {
		t.Error(err)
	}
	w.mail(t, event, sent)
}

func testRefusedForGood(t *testing.T, w *world) {
	o := placed()
	w.post.Answer("RCPT", "550 nobody of that name")
	if m := w.mail(t, w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: o}), dead); m.GetError() != "SMTP_550" || m.GetAttempts() != 1 {
		t.Errorf("%v", m)
	}
	o.Email = "no address"
	if m := w.mail(t, w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: o}), dead); m.GetError() != "ADDRESS_INVALID" {
		t.Errorf("%v", m)
	}
}

// SMTP can't be asked what became of a mail: it comes twice, and the two can be told to be one.
func testTheAnswerIsLost(t *testing.T, w *world) {
	o := placed()
	w.post.Answer("END", smtptest.HangUp)
	event := w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: o})
	if m := w.until(t, event, func(m *notificationv1.Mail) bool { return m.GetAttempts() == 1 }); m.GetState() != pending || m.GetError() != "UNREACHABLE" {
		t.Errorf("%v", m)
	}
	w.jump(20 * time.Second)
	w.mail(t, event, sent)
	got := w.posted(o.GetEmail())
	if len(got) != 2 || !strings.Contains(got[0].Data, "<"+event+"@example.com>") || !strings.Contains(got[1].Data, "<"+event+"@example.com>") {
		t.Errorf("%v", got)
	}
}

func testResend(t *testing.T, w *world) {
	ctx, o := t.Context(), placed()
	event := w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: o})
	m := w.mail(t, event, sent)
	resend := &notificationv1.ResendNotificationRequest{NotificationId: strings.ToUpper(m.GetId())}
	w.post.Answer("MAIL", "451 later")
	if m, err := w.ResendNotification(ctx, resend); err != nil || m.GetState() != pending || m.GetAttempts() != 0 {
		t.Errorf("%v, %v", m, err)
	}
	w.until(t, event, func(m *notificationv1.Mail) bool { return m.GetAttempts() == 1 })
	wantErr(t, second(w.ResendNotification(ctx, resend)), codes.FailedPrecondition, notification.ReasonPending)
	w.jump(20 * time.Second)
	w.mail(t, event, sent)
	if got := w.posted(o.GetEmail()); len(got) != 2 || !strings.Contains(got[1].Data, "<"+event+".1@example.com>") {
		t.Errorf("%v", got)
	}
	nobody := uuid.NewString()
	wantErr(t, second(w.GetNotification(ctx, &notificationv1.GetNotificationRequest{NotificationId: nobody})), codes.NotFound, notification.ReasonNotFound)
	wantErr(t, second(w.ResendNotification(ctx, &notificationv1.ResendNotificationRequest{NotificationId: nobody})), codes.NotFound, notification.ReasonNotFound)
	wantErr(t, second(w.GetNotification(ctx, &notificationv1.GetNotificationRequest{NotificationId: "mine"})), codes.InvalidArgument, "INVALID_FIELDS")
}

// What was written is forgotten, what is on its way stays at home, and what is to be written later isn't.
func testAnErasedCustomer(t *testing.T, w *world) {
	o := placed()
	first := w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: o})
	w.mail(t, first, sent)
	w.post.Answer("MAIL", "451 later")
	waits := w.publish(t, &orderv1.OrderShipped{EventId: uuid.NewString(), Order: o})
	w.until(t, waits, func(m *notificationv1.Mail) bool { return m.GetAttempts() == 1 })
	w.publish(t, &customerv1.CustomerErased{EventId: uuid.NewString(), CustomerId: o.GetCustomerId()})
	for _, event := range []string{first, waits} {
		m := w.mail(t, event, erased)
		if m.GetTo() != "" || m.GetSubject() != "" || m.GetText() != "" || m.GetHtml() != "" {
			t.Errorf("%v", m)
		}
		_, err := w.ResendNotification(t.Context(), &notificationv1.ResendNotificationRequest{NotificationId: m.GetId()})
		wantErr(t, err, codes.FailedPrecondition, notification.ReasonErased)
	}
	never := w.publish(t, &orderv1.OrderShipped{EventId: uuid.NewString(), Order: o})
	w.jump(time.Hour)
	w.mail(t, w.publish(t, &orderv1.OrderShipped{EventId: uuid.NewString(), Order: placed()}), sent)
	if m := w.find(t, never); m != nil || len(w.posted(o.GetEmail())) != 1 {
		t.Errorf("%v; %v", m, w.posted(o.GetEmail()))
	}
}

func testPages(t *testing.T, w *world) {
	ctx := t.Context()
	var want, got []string
	for range 3 {
		event := w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: placed()})
		w.mail(t, event, sent)
		want = append(want, event)
	}
	slices.Reverse(want) // the newest first
	token := ""
	for {
		page, err := w.ListNotifications(ctx, &notificationv1.ListNotificationsRequest{PageSize: 2, PageToken: token, State: sent})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.GetNotifications() {
			if m.GetState() != sent {
				t.Errorf("%v", m)
			}
			got = append(got, m.GetEventId())
		}
		if token = page.GetNextPageToken(); len(got) >= 3 || token == "" {
			break
		}
	}
	if len(got) < 3 || !slices.Equal(got[:3], want) {
		t.Errorf("got %v, want %v", got, want)
	}
	other := &notificationv1.ListNotificationsRequest{State: dead, PageToken: token}
	wantErr(t, second(w.ListNotifications(ctx, other)), codes.InvalidArgument, notification.ReasonPageTokenInvalid)
}

// The log of all that went before, at its most talkative.
func testNothingSecretIsShown(t *testing.T, w *world) {
	log := w.log.String()
	if !strings.Contains(log, "a mail was attempted") {
		t.Fatal("the log has nothing of mails")
	}
	for _, canary := range []string{password, "token-canary", "@example.org", "Blue mug", "of that name"} {
		if strings.Contains(log, canary) {
			t.Errorf("the log has %q", canary)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s", w.config(), w.config(), w.config(), w.config().LogValue()); strings.Contains(text, password) {
		t.Error("the configuration shows the password")
	}
}

// Without a mail server nothing leaves the machine, now or later, unless a person wants it.
func TestWithoutAMailServer(t *testing.T) {
	w := open(t, "")
	w.stop()
	w.start(t, notification.Config{})
	o := placed()
	event := w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: o})
	m := w.mail(t, event, held)
	if m.GetText() == "" || m.GetNextAttemptTime() != nil {
		t.Errorf("%v", m)
	}
	resend := &notificationv1.ResendNotificationRequest{NotificationId: m.GetId()}
	wantErr(t, second(w.ResendNotification(t.Context(), resend)), codes.FailedPrecondition, notification.ReasonNoServer)
	w.stop()
	w.start(t, w.config())
	w.mail(t, w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: placed()}), sent)
	if n := len(w.posted(o.GetEmail())); n != 0 {
		t.Errorf("%d were posted", n)
	}
	if _, err := w.ResendNotification(t.Context(), resend); err != nil {
		t.Fatal(err)
	}
	w.mail(t, event, sent)
}

// Two processes share the work, and send each mail once.
func TestTwoProcesses(t *testing.T) {
	w := open(t, datatest.PostgresURL(t, "notification"))
	first := w.stop
	w.start(t, w.config())
	var orders []*orderv1.PlacedOrder
	var told []string
	for range 20 {
		o := placed()
		orders, told = append(orders, o), append(told, w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: o}))
	}
	for i, event := range told {
		w.mail(t, event, sent)
		if n := len(w.posted(orders[i].GetEmail())); n != 1 {
			t.Errorf("posted %d times", n)
		}
	}
	first()
	w.mail(t, w.publish(t, &orderv1.OrderConfirmed{EventId: uuid.NewString(), Order: placed()}), sent)
}
