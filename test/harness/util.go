package harness

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"
)

// UUID returns a new UUIDv7.
func UUID(t testing.TB) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

func remarshal(t testing.TB, in, out any) {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, out); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
}

// Decode decodes JSON.
func Decode(raw []byte, out any) error { return json.Unmarshal(raw, out) }
