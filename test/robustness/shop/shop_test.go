// Package shop breaks a shop that is full of customers, with real processes, and looks afterwards whether every law of its data holds: no
// order that a customer was told of is lost, nothing is sold that isn't there, nobody is charged twice, and nothing is left lying.
//
// CLEAVE_PROVE_SHOP=full runs all of it (`make prove-shop`); without it a part, in about a minute. CLEAVE_PROVE_SEED is what the customers
// and the nemesis are drawn by; it is printed.
package shop

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

func full() bool { return os.Getenv("CLEAVE_PROVE_SHOP") == "full" }

func seed(t *testing.T) uint64 {
	t.Helper()
	s := os.Getenv("CLEAVE_PROVE_SEED")
	if s == "" {
		return uint64(time.Now().UnixNano())
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal("CLEAVE_PROVE_SEED is a number")
	}
	return n
}

func TestShop(t *testing.T) {
	w, b, seed := open(t), &table{}, seed(t)
	fmt.Println("seed", seed)
	t.Run("last units", func(t *testing.T) { lastUnits(t, w, b) })
	t.Run("double click", func(t *testing.T) { doubleClick(t, w, b) })
	t.Run("last coupon", func(t *testing.T) { lastCoupon(t, w, b) })
	t.Run("change of mind", func(t *testing.T) { changeOfMind(t, w, b) })
	t.Run("failpoints", func(t *testing.T) { failpoints(t, w, b, seed) })
	t.Run("faults", func(t *testing.T) { faults(t, w, b, seed) })
	t.Run("nemesis", func(t *testing.T) { nemesis(t, w, b, seed) })
	b.print()
	b.figures(t)
}
