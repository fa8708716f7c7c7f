// Package rpc speaks shop.customer.v1 for the customers' business: it turns messages into calls and accounts into messages, finds out who
// calls, and decides nothing.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleavehq/cleave/chassis/authn"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	"github.com/cleavehq/cleave/services/customer/internal/account"
	"github.com/cleavehq/cleave/services/customer/internal/token"
)

// Handler answers the calls of shop.customer.v1.Customer. The server has validated each request before.
type Handler struct {
	accounts  *account.Service
	keys      *token.Issuer
	verifier  *authn.Verifier
	validator protovalidate.Validator
}

var _ customerv1.CustomerHandler = (*Handler)(nil)

// New makes a Handler. verifier verifies what keys signed.
func New(accounts *account.Service, keys *token.Issuer, verifier *authn.Verifier) (*Handler, error) {
	if accounts == nil || keys == nil || verifier == nil {
		return nil, errors.New("customer: accounts, keys and a verifier are needed")
	}
	v, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("make a validator: %w", err)
	}
	return &Handler{accounts: accounts, keys: keys, verifier: verifier, validator: v}, nil
}

// RegisterCustomer implements customerv1.CustomerHandler.
func (h *Handler) RegisterCustomer(ctx context.Context, in *customerv1.RegisterCustomerRequest, _ *emptypb.Empty) error {
	return h.accounts.Register(ctx, account.NewCustomer{
		Email: in.GetEmail(), Password: in.GetPassword(), Name: in.GetName(), Locale: in.GetLocale(), Source: source(ctx),
	})
}

// VerifyEmail implements customerv1.CustomerHandler.
func (h *Handler) VerifyEmail(ctx context.Context, in *customerv1.VerifyEmailRequest, out *customerv1.Account) error {
	a, err := h.accounts.Verify(ctx, in.GetToken())
	return answer(out, a, err)
}

// Login implements customerv1.CustomerHandler.
func (h *Handler) Login(ctx context.Context, in *customerv1.LoginRequest, out *customerv1.Session) error {
	g, err := h.accounts.Login(ctx, account.Credentials{Email: in.GetEmail(), Password: in.GetPassword(), Source: source(ctx)})
	return session(out, g, err)
}

// RefreshSession implements customerv1.CustomerHandler.
func (h *Handler) RefreshSession(ctx context.Context, in *customerv1.RefreshSessionRequest, out *customerv1.Session) error {
	g, err := h.accounts.Refresh(ctx, in.GetRefreshToken())
	return session(out, g, err)
}

// Logout implements customerv1.CustomerHandler.
func (h *Handler) Logout(ctx context.Context, in *customerv1.LogoutRequest, _ *emptypb.Empty) error {
	return h.accounts.Logout(ctx, in.GetRefreshToken())
}

// RequestPasswordReset implements customerv1.CustomerHandler.
func (h *Handler) RequestPasswordReset(ctx context.Context, in *customerv1.RequestPasswordResetRequest, _ *emptypb.Empty) error {
	return h.accounts.RequestReset(ctx, in.GetEmail(), source(ctx))
}

// ResetPassword implements customerv1.CustomerHandler.
func (h *Handler) ResetPassword(ctx context.Context, in *customerv1.ResetPasswordRequest, _ *emptypb.Empty) error {
	return h.accounts.ResetPassword(ctx, in.GetToken(), in.GetNewPassword())
}

// GetCustomer implements customerv1.CustomerHandler.
func (h *Handler) GetCustomer(ctx context.Context, in *customerv1.GetCustomerRequest, out *customerv1.Account) error {
	who, err := h.caller(ctx)
	if err != nil {
		return err
	}
	a, err := h.accounts.Get(ctx, who, id(in.GetCustomerId()))
	return answer(out, a, err)
}

// EraseCustomer implements customerv1.CustomerHandler.
func (h *Handler) EraseCustomer(ctx context.Context, in *customerv1.EraseCustomerRequest, _ *emptypb.Empty) error {
	who, err := h.caller(ctx)
	if err != nil {
		return err
	}
	return h.accounts.Erase(ctx, who, id(in.GetCustomerId()))
}

// GrantRole implements customerv1.CustomerHandler.
func (h *Handler) GrantRole(ctx context.Context, in *customerv1.GrantRoleRequest, out *customerv1.Account) error {
	who, err := h.caller(ctx)
	if err != nil {
		return err
	}
	a, err := h.accounts.Grant(ctx, who, id(in.GetCustomerId()), role(in.GetRole()))
	return answer(out, a, err)
}

// RevokeRole implements customerv1.CustomerHandler.
func (h *Handler) RevokeRole(ctx context.Context, in *customerv1.RevokeRoleRequest, out *customerv1.Account) error {
	who, err := h.caller(ctx)
	if err != nil {
		return err
	}
	a, err := h.accounts.Revoke(ctx, who, id(in.GetCustomerId()), role(in.GetRole()))
	return answer(out, a, err)
}

// AppointAdmin implements customerv1.CustomerHandler.
func (h *Handler) AppointAdmin(ctx context.Context, in *customerv1.AppointAdminRequest, out *customerv1.Account) error {
	a, err := h.accounts.Appoint(ctx, in.GetEmail())
	return answer(out, a, err)
}

// GetContact implements customerv1.CustomerHandler.
func (h *Handler) GetContact(ctx context.Context, in *customerv1.GetContactRequest, out *customerv1.Contact) error {
	a, err := h.accounts.Contact(ctx, id(in.GetCustomerId()))
	out.CustomerId, out.Email, out.Name, out.Locale = a.ID, a.Email, a.Name, a.Locale
	return err
}

// id brings a UUID into its one form: the contract takes capitals too, and they name the same thing.
func id(uuid string) string { return strings.ToLower(uuid) }

func answer(out *customerv1.Account, a account.Account, err error) error {
	if err != nil {
		return err
	}
	out.Id, out.Email, out.Name, out.Phone, out.Locale = a.ID, a.Email, a.Name, a.Phone, a.Locale
	for _, r := range a.Roles() {
		out.Roles = append(out.Roles, fromRole(r))
	}
	out.CreateTime, out.UpdateTime = timestamppb.New(a.Created), timestamppb.New(a.Updated)
	return nil
}

func session(out *customerv1.Session, g account.Grant, err error) error {
	if err != nil {
		return err
	}
	out.CustomerId, out.AccessToken, out.RefreshToken = g.CustomerID, g.AccessToken, g.RefreshToken
	out.AccessExpireTime, out.RefreshExpireTime = timestamppb.New(g.AccessExpires), timestamppb.New(g.RefreshExpires)
	return nil
}

// role is one of the two that the contract takes.
func role(r customerv1.Role) account.Role {
	if r == customerv1.Role_ROLE_ADMIN {
		return account.Admin
	}
	return account.Staff
}

func fromRole(r account.Role) customerv1.Role {
	switch r {
	case account.Staff:
		return customerv1.Role_ROLE_STAFF
	case account.Admin:
		return customerv1.Role_ROLE_ADMIN
	case account.Customer:
		return customerv1.Role_ROLE_CUSTOMER
	}
	return customerv1.Role_ROLE_UNSPECIFIED
}
