package customer_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/cleavehq/cleave/chassis/authn"
	"github.com/cleavehq/cleave/chassis/idempotency"
	"github.com/cleavehq/cleave/chassis/problem"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	"github.com/cleavehq/cleave/services/customer"
)

func (o *office) life(t *testing.T) {
	ctx, email := t.Context(), newEmail()
	a := o.join(t, strings.ToUpper(email))
	if a.GetEmail() != email || a.GetName() != "Ada" || a.GetLocale() != "de-AT" ||
		!slices.Equal(a.GetRoles(), []customerv1.Role{customerv1.Role_ROLE_CUSTOMER}) || !a.GetCreateTime().AsTime().Equal(o.clock.now().Truncate(time.Microsecond)) {
		t.Errorf("got %v", a)
	}
	s, err := o.login(ctx, strings.ToUpper(email[:3])+email[3:], password)
	if err != nil || s.GetCustomerId() != a.GetId() || s.GetRefreshExpireTime().AsTime().Sub(o.clock.now()) < 29*24*time.Hour {
		t.Fatalf("%v, %v", s, err)
	}
	me := member{a.GetId(), email, s}

	// What isn't named isn't changed; what is wrong is refused, and named.
	update := func(name, phone string, paths ...string) (*customerv1.Account, error) {
		return o.UpdateCustomer(me.as(ctx), &customerv1.UpdateCustomerRequest{
			Customer:   &customerv1.Account{Id: strings.ToUpper(me.id), Name: name, Phone: phone, Email: "x@example.com"},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
	}
	if got, err := update("", "+4312345678", "phone"); err != nil || got.GetPhone() != "+4312345678" || got.GetName() != "Ada" || got.GetEmail() != email {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := update("Ada L.", ""); err != nil || got.GetPhone() != "+4312345678" || got.GetName() != "Ada L." {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := update("Ada", "", "*"); err != nil || got.GetPhone() != "" || got.GetLocale() != "" {
		t.Errorf("%v, %v", got, err)
	}
	for path, err := range map[string]error{
		"customer.name": second(update("", "", "name")), "customer.phone": second(update("", "12", "phone")),
		"update_mask": second(update("", "", "email")),
	} {
		wantErr(t, err, codes.InvalidArgument, "INVALID_FIELDS")
		if p := problem.From(err); p != nil && (len(p.Fields) != 1 || p.Fields[0].Path != path) {
			t.Errorf("%s: %v", path, p.Fields)
		}
	}
	contact, err := o.GetContact(ctx, &customerv1.GetContactRequest{CustomerId: me.id})
	if err != nil || contact.GetEmail() != email {
		t.Errorf("%v, %v", contact, err)
	}
}

func (o *office) addresses(t *testing.T) {
	ctx, me := t.Context(), o.member(t)
	home := &customerv1.SavedAddress{Label: "Home", Address: vienna()}
	add := func() (*customerv1.SavedAddress, error) {
		return o.CreateAddress(me.as(ctx), &customerv1.CreateAddressRequest{CustomerId: me.id, Address: home})
	}
	first, err := add()
	if err != nil || first.GetAddress().GetCity() != "Wien" {
		t.Fatalf("%v, %v", first, err)
	}
	change := func(id string, a *customerv1.SavedAddress, paths ...string) (*customerv1.SavedAddress, error) {
		a.Id = id
		return o.UpdateAddress(me.as(ctx), &customerv1.UpdateAddressRequest{
			CustomerId: me.id, Address: a, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
	}
	if got, err := change(first.GetId(), &customerv1.SavedAddress{Label: "Work"}, "label"); err != nil || got.GetLabel() != "Work" ||
		got.GetAddress().GetCity() != "Wien" {
		t.Errorf("%v, %v", got, err)
	}
	wantErr(t, second(change(first.GetId(), &customerv1.SavedAddress{}, "address")), codes.InvalidArgument, "INVALID_FIELDS")
	wantErr(t, second(change("x", &customerv1.SavedAddress{})), codes.InvalidArgument, "INVALID_FIELDS")
	wantErr(t, second(change(uuid.NewString(), &customerv1.SavedAddress{Label: "x"})), codes.NotFound, customer.ReasonAddressNotFound)

	// Sent twice with one key it is one; another's key of that name is another.
	twice := idempotency.WithKey(ctx, "a-key")
	for _, who := range []member{o.member(t), me, me} {
		got, err := o.CreateAddress(who.as(twice), &customerv1.CreateAddressRequest{CustomerId: who.id, Address: home})
		if err != nil || got.GetAddress().GetCity() != "Wien" {
			t.Errorf("%v, %v", got, err)
		}
	}
	for range 48 {
		if _, err := add(); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, second(add()), codes.FailedPrecondition, customer.ReasonTooManyAddresses)
	list := func() []*customerv1.SavedAddress {
		l, err := o.ListAddresses(me.as(ctx), &customerv1.ListAddressesRequest{CustomerId: me.id})
		if err != nil {
			t.Fatal(err)
		}
		return l.GetAddresses()
	}
	if l := list(); len(l) != 50 || l[0].GetLabel() != "Work" {
		t.Errorf("%d addresses: %v", len(l), l[0])
	}
	for range 2 {
		if _, err := o.DeleteAddress(me.as(ctx), &customerv1.DeleteAddressRequest{CustomerId: me.id, AddressId: first.GetId()}); err != nil {
			t.Error(err)
		}
	}
	if l := list(); len(l) != 49 || l[0].GetId() == first.GetId() {
		t.Errorf("%d addresses", len(l))
	}
}

func (o *office) roles(t *testing.T) {
	ctx, boss, worker, other := t.Context(), o.admin(t), o.member(t), o.member(t)
	get := func(m member, id string) error {
		return second(o.GetCustomer(m.as(ctx), &customerv1.GetCustomerRequest{CustomerId: id}))
	}
	grant := func(m member, id string) error {
		return second(o.GrantRole(m.as(ctx), &customerv1.GrantRoleRequest{CustomerId: id, Role: customerv1.Role_ROLE_STAFF}))
	}
	wantErr(t, get(worker, other.id), codes.PermissionDenied, customer.ReasonNotAllowed)
	wantErr(t, get(worker, uuid.NewString()), codes.PermissionDenied, customer.ReasonNotAllowed)
	wantErr(t, grant(worker, worker.id), codes.PermissionDenied, customer.ReasonNotAllowed)
	wantErr(t, grant(worker, other.id), codes.PermissionDenied, customer.ReasonNotAllowed)
	if err := grant(boss, worker.id); err != nil {
		t.Fatal(err)
	}
	if err := get(worker, other.id); err != nil {
		t.Error(err)
	}
	wantErr(t, get(worker, uuid.NewString()), codes.NotFound, customer.ReasonNotFound)
	wantErr(t, grant(worker, worker.id), codes.PermissionDenied, customer.ReasonNotAllowed)
	// Staff read; they don't write.
	_, err := o.DeleteAddress(worker.as(ctx), &customerv1.DeleteAddressRequest{CustomerId: other.id, AddressId: uuid.NewString()})
	wantErr(t, err, codes.PermissionDenied, customer.ReasonNotAllowed)
	_, err = o.EraseCustomer(worker.as(ctx), &customerv1.EraseCustomerRequest{CustomerId: other.id})
	wantErr(t, err, codes.PermissionDenied, customer.ReasonNotAllowed)
	// The next token says it, and the one after the role is taken away doesn't come to be.
	s, err := o.refresh(ctx, worker.session.GetRefreshToken())
	if err != nil || !slices.Equal(roles(t, s), []string{"customer", "staff"}) {
		t.Errorf("%v, %v", s, err)
	}
	a, err := o.RevokeRole(boss.as(ctx), &customerv1.RevokeRoleRequest{CustomerId: worker.id, Role: customerv1.Role_ROLE_STAFF})
	if err != nil || len(a.GetRoles()) != 1 {
		t.Errorf("%v, %v", a, err)
	}
	wantErr(t, second(o.refresh(ctx, s.GetRefreshToken())), codes.Unauthenticated, customer.ReasonSessionInvalid)
	// Here a role ends at once, whatever the token says.
	wantErr(t, get(member{session: s}, other.id), codes.PermissionDenied, customer.ReasonNotAllowed)
	_, err = o.AppointAdmin(ctx, &customerv1.AppointAdminRequest{Email: newEmail()})
	wantErr(t, err, codes.NotFound, customer.ReasonNotFound)
}

// roles reads them from an access token, unverified.
func roles(t *testing.T, s *customerv1.Session) []string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(s.GetAccessToken(), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var c struct{ Roles []string }
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	return c.Roles
}

func (o *office) whoCalls(t *testing.T) {
	ctx, me := t.Context(), o.member(t)
	in := &customerv1.GetCustomerRequest{CustomerId: me.id}
	wantErr(t, second(o.GetCustomer(ctx, in)), codes.Unauthenticated, customer.ReasonTokenMissing)
	wantErr(t, second(o.GetCustomer(bearer(ctx, me.session.GetAccessToken()+"x"), in)), codes.Unauthenticated, customer.ReasonAccessTokenInvalid)
	o.clock.add(16 * time.Minute)
	wantErr(t, second(o.GetCustomer(me.as(ctx), in)), codes.Unauthenticated, customer.ReasonTokenExpired)
}

func (o *office) erasure(t *testing.T) {
	ctx, me := t.Context(), o.member(t)
	if _, err := o.CreateAddress(me.as(idempotency.WithKey(ctx, "a-key")), &customerv1.CreateAddressRequest{
		CustomerId: me.id, Address: &customerv1.SavedAddress{Label: "Planetarium", Address: vienna()},
	}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text(t, o.db, "idempotency_keys"), me.id) {
		t.Error("there is no answer to forget")
	}
	if _, err := o.RequestPasswordReset(ctx, &customerv1.RequestPasswordResetRequest{Email: me.email}); err != nil {
		t.Fatal(err)
	}
	reset := heard[*customerv1.PasswordResetRequested](t, o, me.email, 1).GetResetToken()
	erase := func() error {
		return second(o.EraseCustomer(me.as(ctx), &customerv1.EraseCustomerRequest{CustomerId: me.id}))
	}
	if err := erase(); err != nil {
		t.Fatal(err)
	}
	heard[*customerv1.CustomerErased](t, o, me.id, 1)
	if err := erase(); err != nil { // again, it does nothing
		t.Error(err)
	}
	wantErr(t, second(o.refresh(ctx, me.session.GetRefreshToken())), codes.Unauthenticated, customer.ReasonSessionInvalid)
	wantErr(t, second(o.login(ctx, me.email, password)), codes.Unauthenticated, customer.ReasonLoginFailed)
	_, err := o.ResetPassword(ctx, &customerv1.ResetPasswordRequest{Token: reset, NewPassword: password})
	wantErr(t, err, codes.FailedPrecondition, customer.ReasonTokenInvalid)
	wantErr(t, second(o.GetCustomer(me.as(ctx), &customerv1.GetCustomerRequest{CustomerId: me.id})), codes.NotFound, customer.ReasonNotFound)
	_, err = o.GetContact(ctx, &customerv1.GetContactRequest{CustomerId: me.id})
	wantErr(t, err, codes.NotFound, customer.ReasonNotFound)
	for table, text := range dump(t, o.db) {
		if table == "idempotency_keys" && strings.Contains(text, me.id) { // the address, in an answer
			t.Error("a repeat of CreateAddress is still answered")
		}
		if !strings.HasPrefix(table, "outbox") && (strings.Contains(text, me.email) || strings.Contains(text, "Planetarium")) {
			t.Errorf("%s remembers", table)
		}
	}
	o.register(t, me.email, password)
	again, err := o.VerifyEmail(ctx, &customerv1.VerifyEmailRequest{
		Token: heard[*customerv1.CustomerRegistered](t, o, me.email, 2).GetVerificationToken(),
	})
	if err != nil || again.GetId() == me.id {
		t.Errorf("the address is taken, or the account came back: %v, %v", again, err)
	}
	wantErr(t, second(o.EraseCustomer(o.admin(t).as(ctx), &customerv1.EraseCustomerRequest{CustomerId: uuid.NewString()})),
		codes.NotFound, customer.ReasonNotFound)
}

// neighbour is how another service verifies: it asks this module for its keys.
func (o *office) neighbour(t *testing.T) *authn.Verifier {
	t.Helper()
	v, err := authn.New(authn.Config{
		Issuer: customer.Issuer, Audience: customer.Audience, Now: o.clock.now,
		Keys: authn.KeySourceFunc(func(ctx context.Context) ([]authn.Key, error) {
			set, err := o.GetKeys(ctx, &customerv1.GetKeysRequest{})
			if err != nil {
				return nil, err
			}
			var keys []authn.Key
			for _, k := range set.GetKeys() {
				key, err := authn.ParseKey(k.GetKid(), k.GetX())
				if err != nil {
					return nil, err
				}
				keys = append(keys, key)
			}
			return keys, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The answer of GetKeys is a JWK Set as it stands, and other services verify with it.
func (o *office) keySet(t *testing.T) {
	ctx, me := t.Context(), o.member(t)
	read := func() []authn.Key {
		set, err := o.GetKeys(ctx, &customerv1.GetKeysRequest{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := authn.ParseJWKS(b)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	v, err := authn.New(authn.Config{
		Issuer: customer.Issuer, Audience: customer.Audience, Keys: authn.Static(read()...), Now: o.clock.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	who, err := v.Verify(ctx, me.session.GetAccessToken())
	if err != nil || who.Subject != me.id || !who.Has("customer") {
		t.Errorf("%v, %v", who, err)
	}
	// A new key signs at once, the old one is still known, and an hour later it isn't.
	rotated, err := o.RotateKeys(ctx, &customerv1.RotateKeysRequest{})
	if err != nil || len(rotated.GetKeys()) != 2 || rotated.GetKeys()[1].GetKid() != who.KeyID {
		t.Fatalf("%v, %v", rotated, err)
	}
	s, err := o.refresh(ctx, me.session.GetRefreshToken())
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, second(v.Verify(ctx, s.GetAccessToken())), codes.Unauthenticated, authn.ReasonTokenInvalid)
	for _, token := range []string{s.GetAccessToken(), me.session.GetAccessToken()} {
		if who, err := o.neighbour(t).Verify(ctx, token); err != nil || who.Subject != me.id {
			t.Errorf("%v, %v", who, err)
		}
	}
	o.clock.add(2 * time.Second) // the module's own verifier may ask again
	for _, token := range []string{s.GetAccessToken(), me.session.GetAccessToken()} {
		if _, err := o.GetCustomer(bearer(ctx, token), &customerv1.GetCustomerRequest{CustomerId: me.id}); err != nil {
			t.Error(err)
		}
	}
	o.clock.add(time.Hour)
	if keys := read(); len(keys) != 1 || keys[0].ID != rotated.GetKeys()[0].GetKid() {
		t.Errorf("an hour later: %v", keys)
	}
	// By themselves they change, too, and the next one is shown before it signs.
	o.clock.add(30*24*time.Hour - 2*time.Hour + time.Minute)
	eventually(t, func() bool { return len(read()) == 2 })
	if keys := read(); keys[0].ID != rotated.GetKeys()[0].GetKid() {
		t.Error("the next key signs too early")
	}
}
