package authn

import (
	"context"
	"testing"

	"go-micro.dev/v4/metadata"
)

func TestWhoMayHaveWhatIsSomebodys(t *testing.T) {
	from := func(i Identity) context.Context {
		md := metadata.Metadata{}
		Stamp(md, i)
		return metadata.NewContext(context.Background(), md)
	}
	for name, c := range map[string]struct {
		ctx  context.Context
		want bool
	}{
		"a module":                    {context.Background(), true},
		"a module with other words":   {metadata.NewContext(context.Background(), metadata.Metadata{"X-Request-Id": "1"}), true},
		"nobody":                      {from(Identity{}), false},
		"the owner":                   {from(Identity{Kind: KindToken, Issuer: "shop", Subject: "ada"}), true},
		"another customer":            {from(Identity{Kind: KindToken, Issuer: "shop", Subject: "bob"}), false},
		"her name at another issuer":  {from(Identity{Kind: KindToken, Issuer: "idp", Subject: "ada"}), false},
		"a key of her name":           {from(Identity{Kind: KindKey, Issuer: "shop", Subject: "ada"}), false},
		"a certificate of her name":   {from(Identity{Kind: KindCertificate, Subject: "ada"}), false},
		"staff":                       {from(Identity{Kind: KindToken, Issuer: "shop", Subject: "eve", Scopes: []string{"order.*"}}), true},
		"a key with the scope":        {from(Identity{Kind: KindKey, Subject: "desk", Scopes: []string{"order.read"}}), true},
		"staff of something else":     {from(Identity{Kind: KindToken, Issuer: "shop", Subject: "eve", Scopes: []string{"orders.*", "order"}}), false},
		"staff whose name is missing": {from(Identity{Kind: KindKey, Scopes: []string{"*"}}), false},
	} {
		if got := Allowed(c.ctx, "shop", "ada", "order.read"); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if (Identity{Kind: KindToken, Issuer: "shop"}).Owns("shop", "") {
		t.Error("a guest's thing is somebody's")
	}
	if who, outside := Outside(from(Identity{})); !outside || who.Kind != KindNobody {
		t.Errorf("nobody is %+v, %t", who, outside)
	}
}
