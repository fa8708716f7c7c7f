package checkout

import (
	"math/big"
	"testing"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/problem"
	"github.com/cleavehq/cleave/services/order/internal/sale"
)

func FuzzCursor(f *testing.F) {
	const id = "0192f5a0-0000-7000-8000-000000000001"
	f.Add("1793707200000123", id)
	f.Add("-9223372036854775808", id)
	f.Add("9223372036854775808", id)
	f.Add("+1", "{"+id+"}")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, micros, id string) {
		c, err := cursor([]string{micros, id}, nil)
		if err != nil {
			if problem.From(err).Reason != sale.ReasonPageTokenInvalid || c != (Cursor{}) {
				t.Errorf("%+v, %v", c, err)
			}
			return
		}
		want, ok := new(big.Int).SetString(micros, 10)
		if !ok || want.Cmp(big.NewInt(c.Created.UnixMicro())) != 0 || c.ID != id || uuid.Validate(id) != nil {
			t.Errorf("%q and %q became %+v", micros, id, c)
		}
	})
}
