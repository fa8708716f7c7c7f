package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/services/customer/internal/account"
)

// CreateAddress implements customerv1.CustomerHandler.
func (h *Handler) CreateAddress(ctx context.Context, in *customerv1.CreateAddressRequest, out *customerv1.SavedAddress) error {
	who, err := h.caller(ctx)
	if err != nil {
		return err
	}
	a := account.Address{CustomerID: id(in.GetCustomerId())}
	fromAddress(&a, in.GetAddress())
	a, err = h.accounts.AddAddress(ctx, who, a)
	return saved(out, a, err)
}

// ListAddresses implements customerv1.CustomerHandler.
func (h *Handler) ListAddresses(ctx context.Context, in *customerv1.ListAddressesRequest, out *customerv1.ListAddressesResponse) error {
	who, err := h.caller(ctx)
	if err != nil {
		return err
	}
	list, err := h.accounts.Addresses(ctx, who, id(in.GetCustomerId()))
	if err != nil {
		return err
	}
	out.Addresses = make([]*customerv1.SavedAddress, len(list))
	for i, a := range list {
		out.Addresses[i] = toAddress(a)
	}
	return nil
}

// UpdateAddress implements customerv1.CustomerHandler.
func (h *Handler) UpdateAddress(ctx context.Context, in *customerv1.UpdateAddressRequest, out *customerv1.SavedAddress) error {
	who, err := h.caller(ctx)
	if err != nil {
		return err
	}
	paths, err := maskOf(in.GetUpdateMask(), in.GetAddress(), "label", "address")
	if err != nil {
		return err
	}
	if err := mustBeID("address.id", in.GetAddress().GetId()); err != nil {
		return err
	}
	a, err := h.accounts.UpdateAddress(ctx, who, id(in.GetCustomerId()), id(in.GetAddress().GetId()), func(a *account.Address) error {
		m := toAddress(*a)
		apply(m, in.GetAddress(), paths)
		if err := h.validate("address", m); err != nil {
			return err
		}
		fromAddress(a, m)
		return nil
	})
	return saved(out, a, err)
}

// DeleteAddress implements customerv1.CustomerHandler.
func (h *Handler) DeleteAddress(ctx context.Context, in *customerv1.DeleteAddressRequest, _ *emptypb.Empty) error {
	who, err := h.caller(ctx)
	if err != nil {
		return err
	}
	return h.accounts.DropAddress(ctx, who, id(in.GetCustomerId()), id(in.GetAddressId()))
}

// fromAddress takes what a customer says of an address.
func fromAddress(to *account.Address, m *customerv1.SavedAddress) {
	a := m.GetAddress()
	to.Label = m.GetLabel()
	to.Name, to.Line1, to.Line2 = a.GetName(), a.GetLine1(), a.GetLine2()
	to.City, to.PostalCode, to.Country = a.GetCity(), a.GetPostalCode(), a.GetCountry()
}

func toAddress(a account.Address) *customerv1.SavedAddress {
	return &customerv1.SavedAddress{
		Id: a.ID, Label: a.Label, CreateTime: timestamppb.New(a.Created), UpdateTime: timestamppb.New(a.Updated),
		Address: &typev1.Address{Name: a.Name, Line1: a.Line1, Line2: a.Line2, City: a.City, PostalCode: a.PostalCode, Country: a.Country},
	}
}

func saved(out *customerv1.SavedAddress, a account.Address, err error) error {
	if err != nil {
		return err
	}
	m := toAddress(a)
	out.Id, out.Label, out.Address, out.CreateTime, out.UpdateTime = m.GetId(), m.GetLabel(), m.GetAddress(), m.GetCreateTime(), m.GetUpdateTime()
	return nil
}
