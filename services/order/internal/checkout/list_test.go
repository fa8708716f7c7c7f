package checkout_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/cleavehq/cleave/services/order/internal/sale"
)

func TestList(t *testing.T) {
	each(t, func(t *testing.T, db *sql.DB) {
		s, ctx := newShop(t, db, plan{}), context.Background()
		var paid []string // the newest last
		for range 5 {
			o, err := s.svc.Place(ctx, request(s.newCart()))
			if err != nil {
				t.Fatal(err)
			}
			paid = append(paid, o.ID)
			declined := request(s.newCart())
			declined.Token = sale.NewToken("tok_declined")
			if _, err := s.svc.Place(ctx, declined); err == nil {
				t.Fatal("not declined")
			}
		}
		got := s.pages(t, sale.Paid, 2)
		if len(got) != 3 || len(got[0]) != 2 || len(got[2]) != 1 {
			t.Fatalf("pages %v, want 2, 2 and 1 orders", got)
		}
		for i, id := range append(append(got[0], got[1]...), got[2]...) {
			if want := paid[len(paid)-1-i]; id != want {
				t.Errorf("order %d is %s, want %s", i, id, want)
			}
		}
		if all := s.pages(t, "", 12); len(all) != 1 || len(all[0]) != 12 { // two were bought while paging
			t.Errorf("all %v, want one full page and no token", all)
		}

		_, token, err := s.svc.List(ctx, sale.Paid, 1, "")
		if err != nil || token == "" {
			t.Fatal(err, token)
		}
		for name, bad := range map[string]struct {
			state sale.State
			token string
		}{
			"another filter": {sale.Cancelled, token}, "no filter": {"", token}, "garbage": {sale.Paid, "garbage!"},
			"cut off": {sale.Paid, token[:len(token)-1]}, "longer": {sale.Paid, token + "A"},
		} {
			if _, _, err := s.svc.List(ctx, bad.state, 1, bad.token); reason(err) != sale.ReasonPageTokenInvalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err = s.svc.Get(ctx, uuid.NewString())
		mustFail(t, err, codes.NotFound, sale.ReasonOrderNotFound)
	})
}

// pages reads a list to its end. Between two pages somebody buys something: that must not shift them.
func (s *shop) pages(t *testing.T, state sale.State, size int) (pages [][]string) {
	t.Helper()
	token := ""
	for range 20 {
		orders, next, err := s.svc.List(context.Background(), state, size, token)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, o := range orders {
			ids = append(ids, o.ID)
		}
		pages = append(pages, ids)
		if token = next; token == "" {
			return pages
		}
		if _, err := s.svc.Place(context.Background(), request(s.newCart())); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the list has no end")
	return nil
}
