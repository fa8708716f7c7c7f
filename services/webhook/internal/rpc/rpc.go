// Package rpc speaks shop.webhook.v1 for the module's business: it turns messages into calls and back, and decides nothing.
package rpc

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/hook"
	webhookv1 "github.com/cleavehq/cleave/proto/shop/webhook/v1"
	"github.com/cleavehq/cleave/services/webhook/internal/hooks"
)

// Handler is webhookv1.WebhookHandler over a hooks.Service. The server has validated each request before.
type Handler struct{ svc *hooks.Service }

var _ webhookv1.WebhookHandler = (*Handler)(nil)

// New returns a Handler.
func New(svc *hooks.Service) (*Handler, error) {
	if svc == nil {
		return nil, errors.New("webhook: a service is needed")
	}
	return &Handler{svc: svc}, nil
}

// CreateEndpoint implements webhookv1.WebhookHandler.
func (h *Handler) CreateEndpoint(ctx context.Context, in *webhookv1.CreateEndpointRequest, out *webhookv1.EndpointWithSecret) error {
	e, secret, err := h.svc.Create(ctx, in.GetUrl(), in.GetEventTypes(), in.GetDescription())
	return withSecret(out, e, secret, err)
}

// GetEndpoint implements webhookv1.WebhookHandler.
func (h *Handler) GetEndpoint(ctx context.Context, in *webhookv1.GetEndpointRequest, out *webhookv1.Endpoint) error {
	e, err := h.svc.Get(ctx, id(in.GetEndpointId()))
	return endpoint(out, e, err)
}

// ListEndpoints implements webhookv1.WebhookHandler.
func (h *Handler) ListEndpoints(ctx context.Context, in *webhookv1.ListEndpointsRequest, out *webhookv1.ListEndpointsResponse) error {
	list, next, err := h.svc.List(ctx, int(in.GetPageSize()), in.GetPageToken())
	if err != nil {
		return err
	}
	out.NextPageToken = next
	out.Endpoints = make([]*webhookv1.Endpoint, len(list))
	for i, e := range list {
		out.Endpoints[i] = &webhookv1.Endpoint{}
		fill(out.Endpoints[i], e)
	}
	return nil
}

// UpdateEndpoint implements webhookv1.WebhookHandler.
func (h *Handler) UpdateEndpoint(ctx context.Context, in *webhookv1.UpdateEndpointRequest, out *webhookv1.Endpoint) error {
	e, err := h.svc.Update(ctx, hooks.Endpoint{
		ID: id(in.GetEndpointId()), URL: in.GetUrl(), Types: in.GetEventTypes(), Description: in.GetDescription(), Disabled: in.GetDisabled(),
	})
	return endpoint(out, e, err)
}

// DeleteEndpoint implements webhookv1.WebhookHandler.
func (h *Handler) DeleteEndpoint(ctx context.Context, in *webhookv1.DeleteEndpointRequest, _ *emptypb.Empty) error {
	return h.svc.Delete(ctx, id(in.GetEndpointId()))
}

// RotateSecret implements webhookv1.WebhookHandler.
func (h *Handler) RotateSecret(ctx context.Context, in *webhookv1.RotateSecretRequest, out *webhookv1.EndpointWithSecret) error {
	overlap := hooks.DefaultOverlap
	if in.OverlapSeconds != nil {
		overlap = time.Duration(in.GetOverlapSeconds()) * time.Second
	}
	e, secret, err := h.svc.Rotate(ctx, id(in.GetEndpointId()), overlap)
	return withSecret(out, e, secret, err)
}

// ListDeliveries implements webhookv1.WebhookHandler.
func (h *Handler) ListDeliveries(ctx context.Context, in *webhookv1.ListDeliveriesRequest, out *webhookv1.ListDeliveriesResponse) error {
	list, next, err := h.svc.Deliveries(ctx, id(in.GetEndpointId()), filter(in.GetState()), int(in.GetPageSize()), in.GetPageToken())
	if err != nil {
		return err
	}
	out.NextPageToken = next
	out.Deliveries = make([]*webhookv1.Delivery, len(list))
	for i, d := range list {
		out.Deliveries[i] = &webhookv1.Delivery{}
		fillDelivery(out.Deliveries[i], d)
	}
	return nil
}

// ReplayDelivery implements webhookv1.WebhookHandler.
func (h *Handler) ReplayDelivery(ctx context.Context, in *webhookv1.ReplayDeliveryRequest, out *webhookv1.Delivery) error {
	d, err := h.svc.Replay(ctx, id(in.GetDeliveryId()))
	if err != nil {
		return err
	}
	fillDelivery(out, d)
	return nil
}

// ReplayEndpoint implements webhookv1.WebhookHandler.
func (h *Handler) ReplayEndpoint(ctx context.Context, in *webhookv1.ReplayEndpointRequest, out *webhookv1.ReplayEndpointResponse) error {
	n, err := h.svc.ReplayDead(ctx, id(in.GetEndpointId()), in.GetSince().AsTime())
	if err != nil {
		return err
	}
	out.Replayed = n
	return nil
}

// id brings a UUID into its one form: the contract takes capitals too, and they name the same thing.
func id(uuid string) string { return strings.ToLower(uuid) }

func withSecret(out *webhookv1.EndpointWithSecret, e hooks.Endpoint, secret hook.Secret, err error) error {
	if err != nil {
		return err
	}
	out.Endpoint, out.Secret = &webhookv1.Endpoint{}, secret.Reveal()
	fill(out.GetEndpoint(), e)
	return nil
}

func endpoint(out *webhookv1.Endpoint, e hooks.Endpoint, err error) error {
	if err != nil {
		return err
	}
	fill(out, e)
	return nil
}

// fill fills out with e, field by field: a message is not to be copied.
func fill(out *webhookv1.Endpoint, e hooks.Endpoint) {
	out.Id, out.Url, out.EventTypes, out.Description = e.ID, e.URL, e.Types, e.Description
	out.Disabled, out.DisabledReason = e.Disabled, string(e.Why)
	out.CreateTime, out.UpdateTime = timestamppb.New(e.Created), timestamppb.New(e.Updated)
}

const statePrefix = "DELIVERY_STATE_"

func fillDelivery(out *webhookv1.Delivery, d hooks.Delivery) {
	out.Id, out.EndpointId, out.EventId, out.EventType = d.ID, d.EndpointID, d.EventID, d.Type
	out.State = webhookv1.DeliveryState(webhookv1.DeliveryState_value[statePrefix+string(d.State)])
	out.Attempts, out.StatusCode, out.Error = int32(d.Attempts), int32(d.Status), string(d.Why) //nolint:gosec // at most ten, and 599
	out.CreateTime, out.UpdateTime = timestamppb.New(d.Created), timestamppb.New(d.Updated)
	if !d.Next.IsZero() {
		out.NextAttemptTime = timestamppb.New(d.Next)
	}
}

// filter is the state that a list is restricted to; empty for every state.
func filter(s webhookv1.DeliveryState) hooks.State {
	if s == webhookv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED {
		return ""
	}
	return hooks.State(strings.TrimPrefix(s.String(), statePrefix))
}
