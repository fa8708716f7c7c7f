// Command buy buys something in the shop with the clients that connect-go and Twirp generate of its contracts: buy http://127.0.0.1:8080 SKU. It lists
// the products, makes a cart, puts the SKU into it and checks out, once for each client, protocol and codec, of which it prints a line with the order's
// state. It fails when anything isn't as the contract says. It is built by test/protocols, with the clients in package shop.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"github.com/twitchtv/twirp"

	"github.com/cleavehq/cleave/tools/clients/shop"
)

func main() {
	if err := all(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// client is a generated client, as far as one needs it to buy something. Twirp's are of this form, and connect-go's are with plain.
type client struct {
	list  call[shop.ListProductsRequest, shop.ListProductsResponse]
	cart  call[shop.CreateCartRequest, shop.ShoppingCart]
	add   call[shop.AddItemRequest, shop.ShoppingCart]
	order call[shop.CreateOrderRequest, shop.PlacedOrder]
	read  call[shop.GetOrderRequest, shop.PlacedOrder]
	// missing says that an error is the protocol's own "not found".
	missing func(error) bool
}

type call[I, O any] func(context.Context, *I) (*O, error)

func all(base, sku string) error {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	two := &http.Client{Transport: &http.Transport{Protocols: &protocols}}
	one := http.DefaultClient
	gets := counted{what: func(r *http.Request) bool { return r.Method == http.MethodGet }}
	zips := counted{what: func(r *http.Request) bool { return r.Header.Get("Content-Encoding") == "gzip" }}
	for _, c := range []struct {
		name string
		client
	}{
		{"connect protobuf", byConnect(one, base)},
		{"connect json", byConnect(one, base, connect.WithProtoJSON())},
		{"connect get", byConnect(gets.client(two), base, connect.WithProtoJSON(), connect.WithHTTPGet())},
		{"connect gzip", byConnect(zips.client(two), base, connect.WithSendGzip())},
		{"grpc protobuf", byConnect(two, base, connect.WithGRPC())},
		{"grpc json", byConnect(two, base, connect.WithGRPC(), connect.WithProtoJSON())},
		{"grpc-web protobuf", byConnect(one, base, connect.WithGRPCWeb())},
		{"grpc-web json", byConnect(one, base, connect.WithGRPCWeb(), connect.WithProtoJSON())},
		{"twirp protobuf", byTwirp(shop.NewCatalogProtobufClient(base, one), shop.NewCartProtobufClient(base, one), shop.NewOrderProtobufClient(base, one))},
		{"twirp json", byTwirp(shop.NewCatalogJSONClient(base, two), shop.NewCartJSONClient(base, two), shop.NewOrderJSONClient(base, two))},
	} {
		state, err := c.buy(sku)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Printf("%s: %s\n", c.name, state)
	}
	if gets.n.Load() == 0 || zips.n.Load() == 0 {
		return fmt.Errorf("%d requests were GET, %d were compressed", gets.n.Load(), zips.n.Load())
	}
	return nil
}

// counted counts the requests that are as they should be: a client sends others where its contract doesn't let it.
type counted struct {
	http.RoundTripper
	what func(*http.Request) bool
	n    atomic.Int64
}

func (c *counted) client(over *http.Client) *http.Client {
	c.RoundTripper = over.Transport
	return &http.Client{Transport: c}
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.what(r) {
		c.n.Add(1)
	}
	return c.RoundTripper.RoundTrip(r)
}

func byConnect(c *http.Client, base string, opts ...connect.ClientOption) client {
	catalog, cart, order := shop.NewCatalogClient(c, base, opts...), shop.NewCartClient(c, base, opts...), shop.NewOrderClient(c, base, opts...)
	return client{
		list: plain(catalog.ListProducts), cart: plain(cart.CreateCart), add: plain(cart.AddItem), order: plain(order.CreateOrder), read: plain(order.GetOrder),
		missing: func(err error) bool { return connect.CodeOf(err) == connect.CodeNotFound },
	}
}

func byTwirp(catalog shop.Catalog, cart shop.Cart, order shop.Order) client {
	return client{
		list: catalog.ListProducts, cart: cart.CreateCart, add: cart.AddItem, order: order.CreateOrder, read: order.GetOrder,
		missing: func(err error) bool {
			var e twirp.Error
			return errors.As(err, &e) && e.Code() == twirp.NotFound
		},
	}
}

// plain takes connect-go's envelopes off.
func plain[I, O any](f func(context.Context, *connect.Request[I]) (*connect.Response[O], error)) call[I, O] {
	return func(ctx context.Context, in *I) (*O, error) {
		out, err := f(ctx, connect.NewRequest(in))
		if err != nil {
			return nil, err
		}
		return out.Msg, nil
	}
}

func (c client) buy(sku string) (shop.OrderState, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	list, err := c.list(ctx, &shop.ListProductsRequest{Status: shop.ProductStatus_PRODUCT_STATUS_ACTIVE, PageSize: 500})
	if err != nil {
		return 0, fmt.Errorf("list the products: %w", err)
	}
	price := priceOf(list, sku)
	if price == nil {
		return 0, fmt.Errorf("%s is not among the %d products", sku, len(list.GetProducts()))
	}
	cart, err := c.cart(ctx, &shop.CreateCartRequest{})
	if err != nil {
		return 0, fmt.Errorf("make a cart: %w", err)
	}
	cart, err = c.add(ctx, &shop.AddItemRequest{CartId: cart.GetId(), Sku: sku, Quantity: 1})
	if err != nil {
		return 0, fmt.Errorf("put it into the cart: %w", err)
	}
	order, err := c.order(ctx, &shop.CreateOrderRequest{
		CartId: cart.GetId(), Email: "ada@example.com", PaymentToken: "tok_visa",
		ShippingAddress: &shop.Address{Name: "Ada Lovelace", Line1: "12 St James's Square", City: "London", PostalCode: "SW1Y 4JH", Country: "GB"},
	})
	if err != nil {
		return 0, fmt.Errorf("buy it: %w", err)
	}
	read, err := c.read(ctx, &shop.GetOrderRequest{OrderId: order.GetId()})
	if err != nil {
		return 0, fmt.Errorf("read the order: %w", err)
	}
	if lines := read.GetLines(); read.GetId() != order.GetId() || len(lines) != 1 || lines[0].GetSku() != sku || lines[0].GetUnitPrice().GetMinor() != price.GetMinor() {
		return 0, fmt.Errorf("bought %s, and the order is %v", sku, read)
	}
	if _, err := c.read(ctx, &shop.GetOrderRequest{OrderId: cart.GetId()}); err == nil || !c.missing(err) {
		return 0, fmt.Errorf("an order that isn't there is %w", err)
	}
	return read.GetState(), nil
}

func priceOf(list *shop.ListProductsResponse, sku string) *shop.Money {
	for _, p := range list.GetProducts() {
		for _, v := range p.GetVariants() {
			if v.GetSku() == sku {
				return v.GetPrice()
			}
		}
	}
	return nil
}
