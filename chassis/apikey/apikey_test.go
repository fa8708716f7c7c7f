package apikey_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cleavehq/cleave/chassis/apikey"
)

func Example() {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	k, text, err := apikey.New("warehouse", []string{"fulfilment.*"}, now, now.Add(time.Hour))
	if err != nil {
		panic(err)
	}
	document, err := json.Marshal(k) // to be kept; text is for the key's owner
	if err != nil {
		panic(err)
	}
	var ring apikey.Ring
	ring.Replace(map[string][]byte{k.ID: document})

	found, err := ring.Find(text, now)
	fmt.Println(found.Name, found.Scopes, err)
	_, err = ring.Find(text, now.Add(time.Hour))
	fmt.Println(err)
	// Output:
	// warehouse [fulfilment.*] <nil>
	// the key is not known
}

func made(t *testing.T, name string) (apikey.Key, string, []byte) {
	t.Helper()
	k, text, err := apikey.New(name, nil, time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), text) || strings.Contains(string(b), text[len(text)-43:]) {
		t.Error("the document holds the key")
	}
	return k, text, b
}

func TestRing(t *testing.T) {
	var r apikey.Ring
	now := time.Now()
	one, text, doc := made(t, "ci")
	if _, err := r.Find(text, now); !errors.Is(err, apikey.ErrNotReady) {
		t.Errorf("before anything was read: %v", err)
	}
	two, text2, doc2 := made(t, "ci")
	r.Replace(map[string][]byte{one.ID: doc, two.ID: doc2})
	for _, good := range []string{text, text2} { // two at once: that is how one changes over
		if k, err := r.Find(good, now); err != nil || k.Name != "ci" {
			t.Errorf("%v, %v", k, err)
		}
	}
	other := text[:len(text)-1] + map[bool]string{true: "A", false: "B"}[text[len(text)-1] != 'A']
	for what, bad := range map[string]string{
		"nothing": "", "another secret": other, "the secret of another": text[:21] + text2[21:], "less": text[:40], "more": text + "A", "an id": "clv_" + one.ID, "no prefix": text[4:],
	} {
		if _, err := r.Find(bad, now); !errors.Is(err, apikey.ErrUnknown) {
			t.Errorf("%s: %v", what, err)
		}
	}

	if bad := r.Replace(nil); len(bad) != 0 {
		t.Errorf("%v", bad)
	}
	if _, err := r.Find(text, now); err != nil {
		t.Errorf("a store that lost everything ended the keys: %v", err)
	}
	one.Revoked = now
	revoked, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	bad := r.Replace(map[string][]byte{one.ID: revoked, two.ID: []byte("{"), "0000000000000000": doc2})
	if len(bad) != 2 || bad[two.ID] == nil {
		t.Errorf("%v", bad)
	}
	if _, err := r.Find(text, now); !errors.Is(err, apikey.ErrUnknown) {
		t.Errorf("a revoked key: %v", err)
	}
	if _, err := r.Find(text2, now); err != nil {
		t.Errorf("a document that went bad ended its key: %v", err)
	}
	r.Replace(map[string][]byte{one.ID: revoked})
	if _, err := r.Find(text2, now); !errors.Is(err, apikey.ErrUnknown) {
		t.Errorf("a key that was deleted: %v", err)
	}
}

func TestWhatIsNoKey(t *testing.T) {
	now := time.Now()
	for what, f := range map[string]func() error{
		"name":     func() error { _, _, err := apikey.New("A B", nil, now, time.Time{}); return err },
		"scope":    func() error { _, _, err := apikey.New("a", []string{"x y"}, now, time.Time{}); return err },
		"star":     func() error { _, _, err := apikey.New("a", []string{"cat*"}, now, time.Time{}); return err },
		"end":      func() error { _, _, err := apikey.New("a", nil, now, now.Add(-time.Hour)); return err },
		"no key":   func() error { _, err := apikey.Parse([]byte(`{"id":"x"}`)); return err },
		"not JSON": func() error { _, err := apikey.Parse(nil); return err },
		"long hash": func() error {
			_, err := apikey.Parse([]byte(`{"id":"0123456789abcdef","name":"a","hash":"0"}`))
			return err
		},
	} {
		if f() == nil {
			t.Errorf("%s was taken", what)
		}
	}
	a, _, da := made(t, "b")
	b, _, db := made(t, "a")
	if keys := apikey.Keys(map[string][]byte{a.ID: da, b.ID: db, "x": nil}); len(keys) != 2 || keys[0].Name != "a" {
		t.Errorf("%v", keys)
	}
}
