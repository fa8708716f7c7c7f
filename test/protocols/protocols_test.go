// Package protocols buys in the sample shop over every protocol that the gateway speaks, with the binary as it is shipped.
package protocols

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	cartv1 "github.com/cleavehq/cleave/proto/shop/cart/v1"
	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	typev1 "github.com/cleavehq/cleave/proto/shop/type/v1"
	"github.com/cleavehq/cleave/test/harness"
)

const patience = 2 * time.Minute

var binary harness.Bin //nolint:gochecknoglobals // built once for the package, TestMain removes it

func TestMain(m *testing.M) {
	code := m.Run()
	binary.Remove()
	os.Exit(code)
}

func TestBuyOverEveryProtocol(t *testing.T) {
	s := harness.OneProcess(t, binary.Build(t), nil)
	_, sku, _, _ := s.InStock(t)
	p := &http.Protocols{}
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: p}
	t.Cleanup(tr.CloseIdleConnections)
	two := &http.Client{Transport: tr}
	failed := 0
	for name, call := range map[string]caller{
		"grpc":          byConnect(two, connect.WithGRPC()),
		"grpc-web":      byConnect(http.DefaultClient, connect.WithGRPCWeb()),
		"connect":       byConnect(http.DefaultClient),
		"connect-json":  byConnect(two, connect.WithProtoJSON()),
		"twirp":         byPost("/twirp/", "application/protobuf"),
		"twirp-json":    byPost("/twirp/", "application/json"),
		"go-micro":      byPost("/micro/", "application/protobuf"),
		"go-micro-json": byPost("/micro/", "application/json"),
	} {
		if !t.Run(name, func(t *testing.T) {
			id := buy(t, s.Base, sku, call)
			events(t, s.Base+"/v1/orders/"+id+":watch")
			watch(t, two, s.Base, id)
		}) {
			failed++
		}
	}
	harness.Figure(t, "protocols_that_could_not_buy", float64(failed), 0, "protocols")
}

// caller makes one unary call of /package.Service/Method.
type caller func(ctx context.Context, base, method string, in, out proto.Message) error

// buy makes a cart and buys it, and returns the order's id.
func buy(t *testing.T, base, sku string, call caller) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cart := &cartv1.ShoppingCart{}
	in := &cartv1.CreateCartRequest{Items: []*cartv1.NewItem{{Sku: sku, Quantity: 1}}}
	if err := call(ctx, base, "/shop.cart.v1.Cart/CreateCart", in, cart); err != nil {
		t.Fatal(err)
	}
	order := &orderv1.PlacedOrder{}
	if err := call(ctx, base, "/shop.order.v1.Order/CreateOrder", &orderv1.CreateOrderRequest{
		CartId: cart.GetId(), Email: "ada@example.com", PaymentToken: "tok_visa", RequestId: harness.UUID(t),
		ShippingAddress: &typev1.Address{Name: "Ada Lovelace", Line1: "12 St James's Square", City: "London", PostalCode: "SW1Y 4JH", Country: "GB"},
	}, order); err != nil {
		t.Fatal(err)
	}
	if order.GetState() != orderv1.OrderState_ORDER_STATE_PAID || order.GetLines()[0].GetSku() != sku {
		t.Errorf("%v", order)
	}
	id := order.GetId()
	if err := call(ctx, base, "/shop.order.v1.Order/GetOrder", &orderv1.GetOrderRequest{OrderId: "nonsense"}, order); err == nil {
		t.Error("an order that can't be was found")
	}
	return id
}

// watch follows an order to its payment over gRPC.
func watch(t *testing.T, c *http.Client, base, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := connect.NewClient[orderv1.WatchOrderRequest, orderv1.WatchOrderResponse](c, base+"/shop.order.v1.Order/WatchOrder", connect.WithGRPC()).
		CallServerStream(ctx, connect.NewRequest(&orderv1.WatchOrderRequest{OrderId: id, LastEventId: 1}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for next := int64(2); s.Receive(); next++ {
		if got := s.Msg(); got.GetEventId() != next {
			t.Errorf("event %d, want %d", got.GetEventId(), next)
		}
		if s.Msg().GetEvent().GetTo() == orderv1.OrderState_ORDER_STATE_PAID {
			return
		}
	}
	t.Errorf("the stream ended: %v", s.Err())
}

// events reads the order's events up to its payment, as a browser does, twice: the second time from the second event on.
func events(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, last := range []string{"", "2"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set("Last-Event-ID", last)
		rsp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var first string
		lines := bufio.NewScanner(rsp.Body)
		for lines.Scan() && !strings.Contains(lines.Text(), `"to":"ORDER_STATE_PAID"`) {
			if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok && first == "" {
				first = id
			}
		}
		_ = rsp.Body.Close()
		if want := map[string]string{"": "1", "2": "3"}[last]; first != want || lines.Err() != nil || rsp.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("after %q: first event %q, want %s (%d %v)", last, first, want, rsp.StatusCode, lines.Err())
		}
	}
}

func byConnect(c *http.Client, opts ...connect.ClientOption) caller {
	return func(ctx context.Context, base, method string, in, out proto.Message) error {
		switch in := in.(type) {
		case *cartv1.CreateCartRequest:
			return unary[cartv1.CreateCartRequest, cartv1.ShoppingCart](ctx, c, base+method, in, out, opts)
		case *orderv1.CreateOrderRequest:
			return unary[orderv1.CreateOrderRequest, orderv1.PlacedOrder](ctx, c, base+method, in, out, opts)
		case *orderv1.GetOrderRequest:
			return unary[orderv1.GetOrderRequest, orderv1.PlacedOrder](ctx, c, base+method, in, out, opts)
		}
		panic("not called")
	}
}

func unary[I, O any](ctx context.Context, c *http.Client, url string, in *I, out proto.Message, opts []connect.ClientOption) error {
	rsp, err := connect.NewClient[I, O](c, url, opts...).CallUnary(ctx, connect.NewRequest(in))
	if err != nil {
		return err
	}
	proto.Reset(out)
	proto.Merge(out, any(rsp.Msg).(proto.Message))
	return nil
}

// byPost is a client by hand: one body each way. Under /micro/ the method goes by its name in the registry.
func byPost(prefix, media string) caller {
	return func(ctx context.Context, base, method string, in, out proto.Message) error {
		path := prefix + strings.TrimPrefix(method, "/")
		if prefix == "/micro/" { // /shop.cart.v1.Cart/CreateCart is /cart/Cart.CreateCart
			parts := strings.FieldsFunc(method, func(r rune) bool { return r == '/' || r == '.' })
			path = "/" + parts[1] + "/" + parts[3] + "." + parts[4]
		}
		marshal, unmarshal := proto.Marshal, proto.Unmarshal
		if media == "application/json" {
			marshal, unmarshal = protojson.Marshal, protojson.Unmarshal
		}
		b, err := marshal(in)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path, bytes.NewReader(b))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", media)
		rsp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = rsp.Body.Close() }()
		var body bytes.Buffer
		if _, err := body.ReadFrom(rsp.Body); err != nil {
			return err
		}
		if rsp.StatusCode != http.StatusOK {
			return connect.NewError(connect.CodeUnknown, errorText(body.String()))
		}
		return unmarshal(body.Bytes(), out)
	}
}

type errorText string

func (e errorText) Error() string { return string(e) }
