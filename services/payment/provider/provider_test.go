package provider_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cleavehq/cleave/services/payment/provider"
)

func TestNothingPrintsAToken(t *testing.T) {
	r := provider.Request{IdempotencyKey: "k", Token: "tok_secret"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "request", r, "token", r.Token)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "request", r, "token", r.Token)
	js, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	printed := fmt.Sprintf("%v %+v %#v %s %q %v %s", r, r, r, r.Token, r.Token, &r, js) + log.String()
	if strings.Contains(printed, "secret") {
		t.Fatalf("the token is in %s", printed)
	}
	if string(r.Token) != "tok_secret" {
		t.Fatal("a conversion does not read the token")
	}
}
