package hook_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cleavehq/cleave/chassis/hook"
)

// The vector that the reference libraries are tested with.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorSecond    = 1614265330
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func secret(t *testing.T, text string) hook.Secret {
	t.Helper()
	s, err := hook.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheReferenceVector(t *testing.T) {
	for _, text := range []string{vectorSecret, strings.TrimPrefix(vectorSecret, "whsec_")} {
		got, err := hook.Headers(vectorID, time.Unix(vectorSecond, 0), []byte(vectorBody), secret(t, text))
		if err != nil || got[hook.HeaderSignature] != vectorSignature || got[hook.HeaderID] != vectorID || got[hook.HeaderTimestamp] != "1614265330" {
			t.Errorf("%v, %v", got, err)
		}
	}
}

func TestVerify(t *testing.T) {
	now := time.Unix(vectorSecond, 0)
	mine, other := secret(t, vectorSecret), hook.NewSecret()
	good := map[string]string{hook.HeaderID: vectorID, hook.HeaderTimestamp: "1614265330", hook.HeaderSignature: vectorSignature}
	for _, c := range []struct {
		name    string
		change  map[string]string
		body    string
		now     time.Duration
		secrets []hook.Secret
		want    error
	}{
		{name: "as it was sent"},
		{name: "the right one among many", change: map[string]string{hook.HeaderSignature: "v1a,AAAA v1,AAAA " + vectorSignature + " v9,x"}},
		{name: "the new secret and the old", secrets: []hook.Secret{other, mine}},
		{name: "late, but not too late", now: hook.Tolerance},
		{name: "too late", now: hook.Tolerance + time.Second, want: hook.ErrTimestamp},
		{name: "from the future", now: -hook.Tolerance - time.Second, want: hook.ErrTimestamp},
		{name: "another body", body: vectorBody + " ", want: hook.ErrSignature},
		{name: "another id", change: map[string]string{hook.HeaderID: "msg_p"}, want: hook.ErrSignature},
		{name: "another second", change: map[string]string{hook.HeaderTimestamp: "1614265331"}, want: hook.ErrSignature},
		{name: "somebody else's secret", secrets: []hook.Secret{other}, want: hook.ErrSignature},
		{name: "no secret", secrets: []hook.Secret{}, want: hook.ErrSignature},
		{name: "another version", change: map[string]string{hook.HeaderSignature: "v1a" + vectorSignature[2:]}, want: hook.ErrSignature},
		{name: "no signature", change: map[string]string{hook.HeaderSignature: " "}, want: hook.ErrHeaders},
		{name: "a thousand signatures", change: map[string]string{hook.HeaderSignature: strings.Repeat("v1,AA ", 1000)}, want: hook.ErrHeaders},
		{name: "no id", change: map[string]string{hook.HeaderID: ""}, want: hook.ErrHeaders},
		{name: "an id with a full stop", change: map[string]string{hook.HeaderID: vectorID + ".1"}, want: hook.ErrHeaders},
		{name: "no second", change: map[string]string{hook.HeaderTimestamp: ""}, want: hook.ErrHeaders},
		{name: "a second in disguise", change: map[string]string{hook.HeaderTimestamp: "+1614265330"}, want: hook.ErrHeaders},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			for name, value := range good {
				h.Set(name, value)
			}
			for name, value := range c.change {
				h.Set(name, value)
			}
			body, secrets := c.body, c.secrets
			if body == "" {
				body = vectorBody
			}
			if secrets == nil {
				secrets = []hook.Secret{mine}
			}
			v := hook.Verifier{Secrets: secrets, Now: func() time.Time { return now.Add(c.now) }}
			if err := v.Verify(h.Get, []byte(body)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestWhatCannotBeSigned(t *testing.T) {
	for _, id := range []string{"", "a.b"} {
		if h, err := hook.Headers(id, time.Now(), nil, hook.NewSecret()); err == nil {
			t.Errorf("id %q: %v", id, h)
		}
	}
	if h, err := hook.Headers("a", time.Now(), nil); err == nil {
		t.Errorf("without a secret: %v", h)
	}
}

func TestSecretsAreRandomAndHide(t *testing.T) {
	a, b := hook.NewSecret(), hook.NewSecret()
	if a == b || secret(t, a.Reveal()) != a || !strings.HasPrefix(a.Reveal(), "whsec_") {
		t.Errorf("%s, %s", a.Reveal(), b.Reveal())
	}
	canary := strings.TrimPrefix(a.Reveal(), "whsec_")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("shown", "secret", a, "in", struct{ S hook.Secret }{a})
	text, err := json.Marshal(map[string]any{"secret": a})
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{log.String(), string(text), fmt.Sprintf("%v %+v %#v %s %q %x %d", a, a, a, a, a, a, a), fmt.Sprintf("%v", []any{a, &a})} {
		if strings.Contains(shown, canary) || strings.Contains(shown, fmt.Sprintf("%x", canary)) || !strings.Contains(shown, "***") {
			t.Errorf("shown: %s", shown)
		}
	}
	for _, bad := range []string{"", "whsec_", "whsec_c2hvcnQ=", "whsec_" + strings.Repeat("A", 200), "whsec_?" + canary} {
		if s, err := hook.ParseSecret(bad); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%q is %v, %v", bad, s, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(vectorID, "1614265330", vectorSignature, vectorBody)
	f.Add("a", "0", "v1,", "")
	f.Fuzz(func(t *testing.T, id, timestamp, signature, body string) {
		v := hook.Verifier{Secrets: []hook.Secret{secret(t, vectorSecret)}, Now: func() time.Time { return time.Unix(vectorSecond, 0) }}
		h := map[string]string{hook.HeaderID: id, hook.HeaderTimestamp: timestamp, hook.HeaderSignature: signature}
		err := v.Verify(func(name string) string { return h[name] }, []byte(body))
		if err == nil && (id != vectorID || timestamp != "1614265330" || body != vectorBody) {
			t.Errorf("%q %q %q is verified", id, timestamp, body)
		}
	})
}

func ExampleVerifier() {
	secret, err := hook.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		fmt.Println(err)
		return
	}
	body := []byte(`{"type":"order.paid"}`)
	headers, err := hook.Headers("0199f2d4", time.Now(), body, secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	v := hook.Verifier{Secrets: []hook.Secret{secret}}
	get := func(name string) string { return headers[name] }
	fmt.Println(v.Verify(get, body))
	fmt.Println(v.Verify(get, []byte(`{"type":"order.refunded"}`)))
	// Output:
	// <nil>
	// the webhook's signature is not right
}
