package transcode

import (
	"net/url"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	paymentv1 "github.com/cleavehq/cleave/proto/shop/payment/v1"
)

func TestARawBodyIsNotLookedAt(t *testing.T) {
	md := paymentv1.File_shop_payment_v1_payment_proto.Services().ByName("Payment").Methods().ByName("HandleWebhook")
	b, err := NewBinding(md, [][]string{{"provider"}}, "body", "", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !b.IsRaw() {
		t.Fatal("an HttpBody is not raw")
	}
	in, err := b.RawRequest([]string{"stripe"}, url.Values{}, Raw{
		ContentType: "text/plain", Data: []byte("{\xff"), Header: map[string]string{"Stripe-Signature": "t=1,v1=ab"},
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := proto.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	got := &paymentv1.HandleWebhookRequest{}
	if err := proto.Unmarshal(raw, got); err != nil {
		t.Fatal(err)
	}
	if got.GetProvider() != "stripe" || got.GetBody().GetContentType() != "text/plain" || string(got.GetBody().GetData()) != "{\xff" ||
		got.GetHeaders()["Stripe-Signature"] != "t=1,v1=ab" || len(got.GetHeaders()) != 1 {
		t.Errorf("%s", protojson.Format(got))
	}
	if _, err := b.RawRequest([]string{"stripe"}, url.Values{"nonsense": {"1"}}, Raw{}); err == nil {
		t.Error("a query that nobody knows is taken")
	}
	whole, err := NewBinding(md, [][]string{{"provider"}}, "*", "", false, nil)
	if err != nil || whole.IsRaw() {
		t.Errorf("the whole message is raw: %v", err)
	}
}
