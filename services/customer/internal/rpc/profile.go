package rpc

import (
	"context"
	"errors"

	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/cleavehq/cleave/chassis/problem"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	"github.com/cleavehq/cleave/services/customer/internal/account"
)

// UpdateCustomer implements customerv1.CustomerHandler.
func (h *Handler) UpdateCustomer(ctx context.Context, in *customerv1.UpdateCustomerRequest, out *customerv1.Account) error {
	who, err := h.caller(ctx)
	if err != nil {
		return err
	}
	paths, err := maskOf(in.GetUpdateMask(), in.GetCustomer(), "name", "phone", "locale")
	if err != nil {
		return err
	}
	if err := mustBeID("customer.id", in.GetCustomer().GetId()); err != nil {
		return err
	}
	a, err := h.accounts.Update(ctx, who, id(in.GetCustomer().GetId()), func(a *account.Account) error {
		m := &customerv1.Account{Name: a.Name, Phone: a.Phone, Locale: a.Locale}
		apply(m, in.GetCustomer(), paths)
		if err := h.validate("customer", m); err != nil {
			return err
		}
		a.Name, a.Phone, a.Locale = m.GetName(), m.GetPhone(), m.GetLocale()
		return nil
	})
	return answer(out, a, err)
}

// validate applies the rules of the contract to a message that the request only describes a part of.
func (h *Handler) validate(field string, m proto.Message) error {
	err := h.validator.Validate(m)
	if err == nil {
		return nil
	}
	var bad *protovalidate.ValidationError
	if !errors.As(err, &bad) {
		return problem.Internal(err) // the rules themselves don't compile
	}
	fields := make([]problem.Field, 0, len(bad.Violations))
	for _, v := range bad.Violations {
		fields = append(fields, problem.Field{Path: field + "." + protovalidate.FieldPathString(v.Proto.GetField()), Message: v.Proto.GetMessage()})
	}
	return problem.Invalid(fields...)
}

func mustBeID(field, text string) error {
	if uuid.Validate(text) != nil || len(text) != 36 {
		return problem.Invalid(problem.Field{Path: field, Message: "must be a UUID"})
	}
	return nil
}
