package problem_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	microerrors "go-micro.dev/v4/errors"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/cleavehq/cleave/chassis/problem"
)

func TestStatusRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := &problem.Error{
			Code:    codes.Code(rapid.Uint32Range(1, 16).Draw(t, "code")),
			Reason:  rapid.StringMatching(`[A-Z][A-Z_]{0,30}`).Draw(t, "reason"),
			Message: rapid.String().Draw(t, "message"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "fields") {
			in.Fields = append(in.Fields, problem.Field{Path: rapid.String().Draw(t, "path"), Message: rapid.String().Draw(t, "why")})
		}
		wrapped := fmt.Errorf("call catalog: %w", status.FromProto(in.GRPCStatus().Proto()).Err())
		out := problem.From(wrapped)
		if out.Code != in.Code || out.Reason != in.Reason || len(out.Fields) != len(in.Fields) {
			t.Fatalf("sent %+v, got %+v", in, out)
		}
		for i := range in.Fields {
			if out.Fields[i] != in.Fields[i] {
				t.Fatalf("field %d: sent %+v, got %+v", i, in.Fields[i], out.Fields[i])
			}
		}
	})
}

func TestMicroRoundTrip(t *testing.T) {
	in := problem.FailedPrecondition("OUT_OF_STOCK", "only 2 of %s are left", "TEE-S")
	wire := microerrors.Parse(in.Micro("inventory").Error())
	out := problem.From(wire)
	if out.Code != in.Code || out.Reason != in.Reason || out.Message != in.Message {
		t.Errorf("sent %+v, got %+v", in, out)
	}
}

func TestFromFindsTheCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want codes.Code
	}{
		{problem.NotFound("X", "no"), codes.NotFound},
		{fmt.Errorf("load: %w", problem.Aborted("X", "no")), codes.Aborted},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{fmt.Errorf("query: %w", context.Canceled), codes.Canceled},
		{errors.New("connection to 10.0.0.1 with password x"), codes.Internal},
		{status.Error(codes.Unavailable, "gone"), codes.Unavailable},
		{microerrors.Timeout("x", "late"), codes.DeadlineExceeded},
	} {
		if got := problem.From(c.err).Code; got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
	if problem.From(nil) != nil {
		t.Error("nil became an error")
	}
}

func TestCauseStaysInside(t *testing.T) {
	err := problem.Internal(errors.New("hunter2"))
	body, _ := json.Marshal(err.Document("/v1/x", "t"))
	for where, s := range map[string]string{"document": string(body), "status": err.GRPCStatus().String(), "micro": err.Micro("x").Error()} {
		if strings.Contains(s, "hunter2") {
			t.Errorf("the %s shows the cause: %s", where, s)
		}
	}
	if !strings.Contains(err.Error(), "hunter2") {
		t.Error("the log can't show the cause")
	}
}

func TestWrite(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/v1/carts/x?email=secret", nil)
	w := httptest.NewRecorder()
	problem.Write(w, r, problem.Invalid(problem.Field{Path: "cart_id", Message: "must be a UUID"}), "abc")
	var doc problem.Document
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if w.Code != 400 || doc.Status != 400 || doc.TraceID != "abc" || doc.Instance != "/v1/carts/x" || len(doc.Errors) != 1 {
		t.Errorf("%d %+v", w.Code, doc)
	}
	if got := w.Header().Get("Content-Type"); got != problem.MediaType {
		t.Errorf("content type %q", got)
	}
}

func Example() {
	err := fmt.Errorf("reserve stock: %w", problem.FailedPrecondition("OUT_OF_STOCK", "only 2 of TEE-S are left"))
	p := problem.From(err)
	fmt.Println(problem.HTTPStatus(p.Code), p.Reason, p.Message)
	// Output: 422 OUT_OF_STOCK only 2 of TEE-S are left
}
