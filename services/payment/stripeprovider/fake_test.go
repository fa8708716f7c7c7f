package stripeprovider_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is as much of Stripe as the provider needs, with its states, its idempotency keys and its errors, as documented at
// https://docs.stripe.com/api/idempotent_requests and https://docs.stripe.com/payments/paymentintents/lifecycle. Stripe's own stub,
// stripe-mock, knows the requests and no states: mock_test.go has that.
type fake struct {
	mu      sync.Mutex
	intents map[string]map[string]any
	refunds []map[string]any
	answers map[string]stored // by idempotency key
	indexed bool              // the search finds what there is
	seen    []string          // what was asked
}

type stored struct {
	form   string
	status int
	body   any
}

// failure is an error of Stripe's.
type failure struct {
	status int
	fields map[string]any
}

func fail(status int, kind, code string, more ...any) *failure {
	f := &failure{status: status, fields: map[string]any{"type": kind, "code": code, "message": "no"}}
	for i := 0; i+1 < len(more); i += 2 {
		f.fields[more[i].(string)] = more[i+1] //nolint:forcetypeassert // the test's own
	}
	return f
}

func start(t *testing.T) (*fake, string) {
	t.Helper()
	f := &fake{intents: map[string]map[string]any{}, answers: map[string]stored{}}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return f, s.URL
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, r.Method+" "+r.URL.Path)
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	key, form := r.Header.Get("Idempotency-Key"), r.URL.Path+"?"+r.PostForm.Encode()
	if r.Method == http.MethodPost {
		if before, ok := f.answers[key]; ok {
			if before.form != form {
				send(w, http.StatusBadRequest, map[string]any{"error": fail(400, "idempotency_error", "").fields})
				return
			}
			w.Header().Set("Idempotent-Replayed", "true")
			send(w, before.status, before.body)
			return
		}
	}
	status := http.StatusOK
	body, bad := f.do(r.Method, strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/"), r.Form)
	if bad != nil {
		status, body = bad.status, map[string]any{"error": bad.fields}
	}
	text, _ := json.Marshal(body)
	if r.Method == http.MethodPost {
		f.answers[key] = stored{form, status, json.RawMessage(text)}
	}
	send(w, status, json.RawMessage(text))
}

func send(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (f *fake) do(method string, path []string, form url.Values) (any, *failure) {
	switch {
	case path[0] == "refunds" && method == http.MethodGet:
		list := []any{}
		for _, r := range f.refunds {
			if r["payment_intent"] == form.Get("payment_intent") {
				list = append(list, r)
			}
		}
		return map[string]any{"object": "list", "data": list, "has_more": false}, nil
	case path[0] == "refunds":
		return f.refund(form)
	case path[0] == "payment_methods":
		token := form.Get("card[token]")
		if !strings.HasPrefix(token, "tok_visa") && !strings.HasPrefix(token, "tok_chargeDeclined") {
			return nil, fail(400, "invalid_request_error", "resource_missing", "param", "card[token]", "message", "No such token: '"+token+"'")
		}
		return map[string]any{"id": "pm_" + token, "object": "payment_method"}, nil
	case len(path) == 1 && method == http.MethodGet:
		return f.list(form), nil
	case len(path) == 1:
		id := fmt.Sprintf("pi_%d", len(f.intents)+1)
		f.intents[id] = map[string]any{
			"id": id, "object": "payment_intent", "created": time.Now().Unix(), "status": "requires_payment_method", "amount": number(form, "amount"), "currency": form.Get("currency"),
			"metadata": map[string]string{"cleave_key": form.Get("metadata[cleave_key]"), "order_id": form.Get("metadata[order_id]")},
		}
		return f.intents[id], nil
	case path[1] == "search":
		list := []any{}
		for _, i := range f.intents {
			if m, ok := i["metadata"].(map[string]string); ok && f.indexed && strings.Contains(form.Get("query"), "'"+m["cleave_key"]+"'") {
				list = append(list, i)
			}
		}
		return map[string]any{"object": "search_result", "data": list, "has_more": false}, nil
	}
	i, ok := f.intents[path[1]]
	if !ok {
		return nil, fail(404, "invalid_request_error", "resource_missing", "param", "intent")
	}
	if len(path) == 2 {
		return i, nil
	}
	return act(i, path[2], form)
}

// list has the newest first, as https://docs.stripe.com/api/pagination says.
func (f *fake) list(form url.Values) any {
	limit, data, more := number(form, "limit"), []any{}, false
	after := len(f.intents) + 1
	if id := form.Get("starting_after"); id != "" {
		after, _ = strconv.Atoi(strings.TrimPrefix(id, "pi_"))
	}
	for n := after - 1; n > 0; n-- {
		i := f.intents[fmt.Sprintf("pi_%d", n)]
		made, _ := i["created"].(int64)
		if made < number(form, "created[gte]") || made >= number(form, "created[lt]") {
			continue
		}
		if more = int64(len(data)) == limit; more {
			break
		}
		data = append(data, i)
	}
	return map[string]any{"object": "list", "data": data, "has_more": more, "url": "/v1/payment_intents"}
}

// act confirms, captures or cancels.
func act(i map[string]any, what string, form url.Values) (any, *failure) {
	unexpected := fail(400, "invalid_request_error", "payment_intent_unexpected_state")
	switch {
	case what == "confirm" && i["status"] == "requires_payment_method":
		if form.Get("payment_method") == "pm_tok_chargeDeclinedInsufficientFunds" {
			e := fail(402, "card_error", "card_declined", "decline_code", "insufficient_funds")
			i["last_payment_error"] = e.fields
			return nil, e
		}
		i["status"], i["latest_charge"] = "requires_capture", "ch_"+i["id"].(string) //nolint:forcetypeassert // the test's own
	case what == "capture" && i["status"] == "requires_capture":
		i["status"], i["amount_received"] = "succeeded", i["amount"]
	case what == "cancel" && (i["status"] == "requires_capture" || i["status"] == "requires_payment_method"):
		i["status"] = "canceled"
	default:
		return nil, unexpected
	}
	return i, nil
}

func (f *fake) refund(form url.Values) (any, *failure) {
	i, ok := f.intents[form.Get("payment_intent")]
	if !ok {
		return nil, fail(404, "invalid_request_error", "resource_missing", "param", "payment_intent")
	}
	left, _ := i["amount_received"].(int64)
	for _, r := range f.refunds {
		if r["payment_intent"] == i["id"] {
			left -= r["amount"].(int64) //nolint:forcetypeassert // the test's own
		}
	}
	if minor := number(form, "amount"); i["status"] != "succeeded" || minor > left {
		return nil, fail(400, "invalid_request_error", "", "param", "amount")
	}
	r := map[string]any{
		"id": fmt.Sprintf("re_%d", len(f.refunds)+1), "object": "refund", "status": "succeeded", "payment_intent": i["id"], "amount": number(form, "amount"),
		"metadata": map[string]string{"cleave_key": form.Get("metadata[cleave_key]")},
	}
	f.refunds = append(f.refunds, r)
	return r, nil
}

func number(form url.Values, name string) int64 {
	n, _ := strconv.ParseInt(form.Get(name), 10, 64)
	return n
}
