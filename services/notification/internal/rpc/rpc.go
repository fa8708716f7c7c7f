// Package rpc speaks shop.notification.v1 for the module's business: it turns messages into calls and back, and decides nothing.
package rpc

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	notificationv1 "github.com/cleavehq/cleave/proto/shop/notification/v1"
	"github.com/cleavehq/cleave/services/notification/internal/letters"
)

// Handler is notificationv1.NotificationHandler over a letters.Service. The server has validated each request before.
type Handler struct{ svc *letters.Service }

var _ notificationv1.NotificationHandler = (*Handler)(nil)

// New returns a Handler.
func New(svc *letters.Service) (*Handler, error) {
	if svc == nil {
		return nil, errors.New("notification: a service is needed")
	}
	return &Handler{svc: svc}, nil
}

// GetNotification implements notificationv1.NotificationHandler.
func (h *Handler) GetNotification(ctx context.Context, in *notificationv1.GetNotificationRequest, out *notificationv1.Mail) error {
	m, err := h.svc.Get(ctx, id(in.GetNotificationId()))
	return answer(out, m, err)
}

// ListNotifications implements notificationv1.NotificationHandler.
func (h *Handler) ListNotifications(ctx context.Context, in *notificationv1.ListNotificationsRequest, out *notificationv1.ListNotificationsResponse) error {
	list, next, err := h.svc.List(ctx, filter(in.GetState()), int(in.GetPageSize()), in.GetPageToken())
	if err != nil {
		return err
	}
	out.NextPageToken = next
	out.Notifications = make([]*notificationv1.Mail, len(list))
	for i, m := range list {
		out.Notifications[i] = &notificationv1.Mail{}
		fill(out.Notifications[i], m)
	}
	return nil
}

// ResendNotification implements notificationv1.NotificationHandler.
func (h *Handler) ResendNotification(ctx context.Context, in *notificationv1.ResendNotificationRequest, out *notificationv1.Mail) error {
	m, err := h.svc.Resend(ctx, id(in.GetNotificationId()))
	return answer(out, m, err)
}

// id brings a UUID into its one form: the contract takes capitals too, and they name the same thing.
func id(uuid string) string { return strings.ToLower(uuid) }

func answer(out *notificationv1.Mail, m letters.Mail, err error) error {
	if err != nil {
		return err
	}
	fill(out, m)
	return nil
}

const statePrefix = "MAIL_STATE_"

// fill fills out with m, field by field: a message is not to be copied.
func fill(out *notificationv1.Mail, m letters.Mail) {
	out.Id, out.EventId, out.Template, out.Locale, out.To = m.ID, m.EventID, m.Template, m.Locale, m.To
	out.Subject, out.Text, out.Html = m.Subject, m.Text, m.HTML
	out.State = notificationv1.MailState(notificationv1.MailState_value[statePrefix+string(m.State)])
	out.Attempts, out.Error = int32(m.Attempts), m.Why //nolint:gosec // at most thirteen
	out.CreateTime, out.UpdateTime = timestamppb.New(m.Created), timestamppb.New(m.Updated)
	if !m.Next.IsZero() {
		out.NextAttemptTime = timestamppb.New(m.Next)
	}
}

// filter is the state that a list is restricted to; empty for every state.
func filter(s notificationv1.MailState) letters.State {
	if s == notificationv1.MailState_MAIL_STATE_UNSPECIFIED {
		return ""
	}
	return letters.State(strings.TrimPrefix(s.String(), statePrefix))
}
