package authn_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go-micro.dev/v4/metadata"

	"github.com/cleavehq/cleave/chassis/authn"
)

// Any go-micro service verifies tokens in its handlers, or puts authn.Wrapper before them: server.WrapHandler(authn.Wrapper(v)).
func Example() {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	// Who makes tokens, somewhere else. Over HTTP it would be authn.JWKS("https://shop.example/v1/customers/.well-known/jwks.json", nil).
	set := fmt.Sprintf(`{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": %q}]}`, base64.RawURLEncoding.EncodeToString(public))
	source := authn.KeySourceFunc(func(context.Context) ([]authn.Key, error) { return authn.ParseJWKS([]byte(set)) })
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": "cleave", "aud": "shop", "sub": "customer-7", "jti": "1", "roles": []string{"staff"},
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	})
	t.Header["kid"] = "k1"
	token, err := t.SignedString(private)
	if err != nil {
		panic(err)
	}

	v, err := authn.New(authn.Config{Issuer: "cleave", Audience: "shop", Keys: source})
	if err != nil {
		panic(err)
	}
	// In a handler, ctx has the caller's metadata.
	ctx := metadata.NewContext(context.Background(), metadata.Metadata{authn.Header: "Bearer " + token})
	who, err := v.Caller(ctx)
	fmt.Println(who.Subject, who.Has("staff"), who.Has("admin"), err)

	_, err = v.Caller(context.Background())
	fmt.Println(err, errors.Unwrap(err))
	// Output:
	// customer-7 true false <nil>
	// Unauthenticated: an access token is needed <nil>
}
