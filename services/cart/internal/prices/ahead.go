package prices

import (
	"context"

	"go-micro.dev/v4/server"

	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	"github.com/cleavehq/cleave/services/cart/internal/basket"
)

// Ahead asks for the prices of the commands that are guarded by a key, CreateCart and AddItem, before they begin. The guard runs a command in one
// transaction with its key, and no transaction may wait for another service. It goes outside of the guard. What is asked here is asked
// for nothing when the command was done before; what can't be had is told when the command asks for it, and so never to a repeat.
func (p *Pricing) Ahead(next server.HandlerFunc) server.HandlerFunc {
	return func(ctx context.Context, req server.Request, rsp any) error {
		var skus []string
		switch in := req.Body().(type) {
		case *cartv1.CreateCartRequest:
			for _, it := range in.GetItems() {
				skus = append(skus, it.GetSku())
			}
		case *cartv1.AddItemRequest:
			skus = []string{in.GetSku()}
		}
		if len(skus) > 0 {
			ctx = context.WithValue(ctx, aheadKey{}, p.ahead(ctx, skus))
		}
		return next(ctx, req, rsp)
	}
}

type aheadKey struct{}

// known is what was asked ahead, in the catalogue's currencies.
type known struct {
	variants map[string]basket.Variant
	err      error
}

func (p *Pricing) ahead(ctx context.Context, skus []string) *known {
	k := &known{variants: make(map[string]basket.Variant, len(skus))}
	var once []string
	for _, sku := range skus {
		if _, seen := k.variants[sku]; !seen {
			k.variants[sku] = basket.Variant{}
			once = append(once, sku)
		}
	}
	found, err := p.lookUp(ctx, once, "")
	k.err = err
	for _, v := range found {
		k.variants[v.SKU] = v
	}
	return k
}

// fromAhead returns what was asked ahead, or its error; false when that was something else.
func fromAhead(ctx context.Context, skus []string, currency string) (out []basket.Variant, ok bool, err error) {
	k, ok := ctx.Value(aheadKey{}).(*known)
	if !ok || currency != "" {
		return nil, false, nil
	}
	for _, sku := range skus {
		v, there := k.variants[sku]
		if !there {
			return nil, false, nil
		}
		out = append(out, v)
	}
	return out, true, k.err
}
