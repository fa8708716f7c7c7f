package contracts

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/cleavehq/cleave/test/harness"
)

// keyed adds an API key to every request; none when it is empty.
type keyed string

func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	if k != "" {
		r = r.Clone(r.Context())
		r.Header.Set("X-Api-Key", string(k))
	}
	return http.DefaultTransport.RoundTrip(r)
}

type agent struct {
	*mcp.ClientSession
	t *testing.T
}

func connect(t *testing.T, base, key string) agent {
	t.Helper()
	s, err := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil).Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: base + "/mcp", HTTPClient: &http.Client{Transport: keyed(key)}, DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return agent{s, t}
}

// use calls a tool, and returns its structured answer, or the reason of its refusal.
func (a agent) use(tool string, args, out any) (reason string) {
	a.t.Helper()
	res, err := a.CallTool(a.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args, Meta: mcp.Meta{"idempotency-key": harness.UUID(a.t)}})
	if err != nil {
		a.t.Fatalf("%s: %v", tool, err)
	}
	if res.IsError {
		var p harness.Problem
		if err := json.Unmarshal([]byte(res.Content[0].(*mcp.TextContent).Text), &p); err != nil || p.Reason == "" {
			a.t.Errorf("%s: no problem document: %v", tool, err)
		}
		return p.Reason
	}
	b, err := json.Marshal(res.StructuredContent)
	if err == nil && out != nil {
		err = json.Unmarshal(b, out)
	}
	if err != nil {
		a.t.Errorf("%s: %v", tool, err)
	}
	return ""
}

// TestAnAgentBuysSomething: a stock MCP client finds the tools, buys as a guest, and is refused what is the staff's; the staff's key is not.
func TestAnAgentBuysSomething(t *testing.T) {
	s := harness.OneProcess(t, binary.Build(t), nil)
	guest, staff := connect(t, s.Base, ""), connect(t, s.Base, s.Key)
	count := func(a agent) (n int) {
		list, err := a.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, tool := range list.Tools {
			if tool.Description == "" || tool.Title == "" || strings.Contains(tool.Title, "  ") {
				t.Errorf("%s says nothing of itself", tool.Name)
			}
		}
		return len(list.Tools)
	}
	few, all := count(guest), count(staff)
	t.Logf("%d tools for a guest, %d for the staff", few, all)
	if few < 10 || all < few+30 {
		t.Errorf("%d tools for a guest, %d for the staff", few, all)
	}

	_, sku, price, _ := s.Guest().InStock(t)
	var cart struct {
		ID string `json:"id"`
	}
	guest.use("Cart_CreateCart", map[string]any{"items": []any{map[string]any{"sku": sku, "quantity": "1"}}}, &cart)
	order := map[string]any{"cartId": cart.ID, "email": "ada@example.com", "paymentToken": "tok_visa", "shippingAddress": harness.Address()}
	var bought, read harness.Order
	if reason := guest.use("Order_CreateOrder", order, &bought); reason != "" || bought.State != "ORDER_STATE_PAID" || bought.Total != price {
		t.Fatalf("bought: %s %+v", reason, bought)
	}
	if guest.use("Order_GetOrder", map[string]any{"orderId": bought.ID}, &read); read != bought {
		t.Errorf("read back %+v, bought %+v", read, bought)
	}
	if reason := guest.use("Order_CancelOrder", map[string]any{"orderId": bought.ID}, nil); reason != "CREDENTIALS_MISSING" {
		t.Errorf("a guest cancels: %q", reason)
	}
	if reason := guest.use("Order_GetOrder", map[string]any{"orderId": "x"}, nil); reason != "INVALID_FIELDS" {
		t.Errorf("nonsense: %q", reason)
	}
	if reason := staff.use("Order_CancelOrder", map[string]any{"orderId": bought.ID}, &read); reason != "" {
		t.Errorf("the staff cancels: %q", reason)
	}
}
