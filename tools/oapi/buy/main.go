// Command buy buys something with the client that oapi-codegen makes of the gateway's own /openapi.json: buy http://127.0.0.1:8080 SKU. It prints the
// order's id and its state, and fails when anything isn't as the document says. It is built by test/contracts, with that client in package shop.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/cleavehq/cleave/tools/oapi/shop"
)

func main() {
	if err := buy(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func buy(base, sku string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := shop.NewClientWithResponses(base)
	if err != nil {
		return err
	}
	active, size := shop.CatalogListProductsParamsStatus("PRODUCT_STATUS_ACTIVE"), int32(500)
	list, err := c.CatalogListProductsWithResponse(ctx, &shop.CatalogListProductsParams{Status: &active, PageSize: &size})
	if err != nil || list.JSON200 == nil || list.JSON200.Products == nil {
		return fmt.Errorf("list the products: %v, %s", err, body(list))
	}
	var price shop.ShopTypeV1Money
	for _, p := range *list.JSON200.Products {
		for _, v := range p.Variants {
			if v.Sku == sku {
				price = v.Price
			}
		}
	}
	if price.Currency == "" {
		return fmt.Errorf("%s is not among the %d products", sku, len(*list.JSON200.Products))
	}
	cart, err := c.CartCreateCartWithResponse(ctx, nil, shop.ShopCartV1CreateCartRequest{})
	if err != nil || cart.JSON200 == nil || cart.JSON200.Id == nil {
		return fmt.Errorf("make a cart: %v, %s", err, body(cart))
	}
	var id shop.ShopOrderV1CreateOrderRequest
	if err := id.CartId.UnmarshalText([]byte(*cart.JSON200.Id)); err != nil {
		return err
	}
	item, err := c.CartAddItemWithResponse(ctx, id.CartId, nil, shop.CartAddItemJSONRequestBody{Sku: sku, Quantity: "1"})
	if err != nil || item.JSON200 == nil {
		return fmt.Errorf("put it into the cart: %v, %s", err, body(item))
	}
	city, line1, post := "London", "12 St James's Square", "SW1Y 4JH"
	key := "generated-client-" + *cart.JSON200.Id
	want := shop.ShopOrderV1CreateOrderRequest{
		CartId: id.CartId, Email: "ada@example.com", PaymentToken: "tok_visa",
		ShippingAddress: shop.ShopTypeV1Address{Name: "Ada Lovelace", Line1: line1, City: city, PostalCode: &post, Country: "GB"},
	}
	order, err := c.OrderCreateOrderWithResponse(ctx, &shop.OrderCreateOrderParams{IdempotencyKey: &key}, want)
	if err != nil || order.JSON200 == nil || order.JSON200.Id == nil {
		return fmt.Errorf("buy it: %v, %s", err, body(order))
	}
	var orderID = want.CartId
	if err := orderID.UnmarshalText([]byte(*order.JSON200.Id)); err != nil {
		return err
	}
	read, err := c.OrderGetOrderWithResponse(ctx, orderID)
	if err != nil || read.JSON200 == nil || *read.JSON200.Id != *order.JSON200.Id {
		return fmt.Errorf("read the order: %v, %s", err, body(read))
	}
	want.CartId, want.PaymentToken = id.CartId, "tok_visa"
	again, err := c.OrderCreateOrderWithResponse(ctx, nil, want)
	if err != nil || again.StatusCode() != http.StatusUnprocessableEntity || again.ApplicationproblemJSON422 == nil || again.ApplicationproblemJSON422.Reason == nil {
		return errors.Join(err, fmt.Errorf("the cart bought twice: %s", body(again)))
	}
	fmt.Println(*read.JSON200.Id, *read.JSON200.State)
	return nil
}

// body is what came back, for an error.
func body(rsp any) string {
	if r, ok := rsp.(interface{ GetBody() []byte }); ok {
		return string(r.GetBody())
	}
	return fmt.Sprintf("%+v", rsp)
}
