package shipping

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/page"
)

// List returns a page of fulfilments, the oldest first, as a warehouse works, and the token of the next page; empty on the last one. size is
// 50 when 0. PAGE_TOKEN_INVALID when the token isn't one of ours or belongs to another filter. Orders paid while one pages come last.
func (s *Service) List(ctx context.Context, only Filter, size int, token string) ([]Fulfilment, string, error) {
	list := page.Of("fulfilments", string(only.State), strconv.FormatBool(only.LeftBeforeCancel))
	after, err := cursor(list.Parse(token, 2))
	if err != nil {
		return nil, "", err
	}
	after.Filter = only
	size = page.Size(size)
	found, err := s.cfg.Store.Page(ctx, after, size+1) // one more, to see whether there is a next page
	if err != nil {
		return nil, "", fmt.Errorf("list fulfilments: %w", err)
	}
	if len(found) <= size {
		return found, "", nil
	}
	last := found[size-1]
	return found[:size], list.Token(strconv.FormatInt(last.Created.UnixMicro(), 10), last.OrderID), nil
}

// cursor makes a Cursor of the keys of a page token, and the zero one of none.
func cursor(keys []string, err error) (Cursor, error) {
	if err != nil || len(keys) == 0 {
		return Cursor{}, err
	}
	micros, err := strconv.ParseInt(keys[0], 10, 64)
	if err != nil || uuid.Validate(keys[1]) != nil {
		return Cursor{}, page.Invalid()
	}
	return Cursor{Created: time.UnixMicro(micros).UTC(), OrderID: keys[1]}, nil
}
