package rpc

import (
	"context"
	"encoding/base64"

	"github.com/cleavehq/cleave/chassis/authn"
	customerv1 "github.com/cleavehq/cleave/proto/shop/customer/v1"
	"github.com/cleavehq/cleave/services/customer/internal/token"
)

// GetKeys implements customerv1.CustomerHandler.
func (h *Handler) GetKeys(ctx context.Context, _ *customerv1.GetKeysRequest, out *customerv1.JsonWebKeySet) error {
	return h.keySet(ctx, out)
}

// RotateKeys implements customerv1.CustomerHandler.
func (h *Handler) RotateKeys(ctx context.Context, _ *customerv1.RotateKeysRequest, out *customerv1.JsonWebKeySet) error {
	if err := h.keys.Rotate(ctx); err != nil {
		return err
	}
	return h.keySet(ctx, out)
}

func (h *Handler) keySet(ctx context.Context, out *customerv1.JsonWebKeySet) error {
	keys, err := h.keys.Public(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		out.Keys = append(out.Keys, &customerv1.JsonWebKey{
			Kty: "OKP", Crv: "Ed25519", X: base64.RawURLEncoding.EncodeToString(k.Public), Kid: k.ID, Alg: "EdDSA", Use: "sig",
		})
	}
	return nil
}

// Source is where the module's own verifier has its keys from: not from itself over the network, as others do.
func Source(keys *token.Issuer) authn.KeySource {
	return authn.KeySourceFunc(func(ctx context.Context) ([]authn.Key, error) {
		list, err := keys.Public(ctx)
		out := make([]authn.Key, len(list))
		for i, k := range list {
			out[i] = authn.Key{ID: k.ID, Public: k.Public}
		}
		return out, err
	})
}
