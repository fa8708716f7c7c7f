package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// client speaks to a gateway as an outsider does.
type client struct {
	base string
	key  string // that may do everything
	http *http.Client
}

func newClient(addr string) *client {
	return &client{base: "http://" + addr, http: &http.Client{
		Timeout:   40 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 256},
	}}
}

type object = map[string]any

// do sends a request, with body as JSON unless it is nil, and decodes the answer into out unless that is nil. Any other status than 200 is
// an error.
func (c *client) do(ctx context.Context, method, path string, body, out any) error {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, in)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("X-Api-Key", c.key)
	}
	rsp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = rsp.Body.Close() }()
	b, err := io.ReadAll(rsp.Body)
	if err != nil {
		return err
	}
	if rsp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: status %d: %.300s", method, path, rsp.StatusCode, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// plenty is more than all buyers can buy.
const plenty = 1_000_000

// fill stocks every SKU of the sample shop with plenty, and returns them.
func (c *client) fill(ctx context.Context) ([]string, error) {
	var list struct {
		Products []struct {
			Variants []struct {
				SKU string `json:"sku"`
			} `json:"variants"`
		} `json:"products"`
	}
	if err := c.do(ctx, http.MethodGet, "/v1/products?page_size=500&status=PRODUCT_STATUS_ACTIVE", nil, &list); err != nil {
		return nil, err
	}
	var skus []string
	for _, p := range list.Products {
		for _, v := range p.Variants {
			if err := c.do(ctx, http.MethodPut, "/v1/stock/"+url.PathEscape(v.SKU), object{"onHand": plenty}, nil); err != nil {
				return nil, err
			}
			skus = append(skus, v.SKU)
		}
	}
	if len(skus) == 0 {
		return nil, errors.New("the sample shop sells nothing")
	}
	return skus, nil
}
