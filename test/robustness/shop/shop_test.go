// Package shop breaks a shop that is full of customers, with real processes, and looks afterwards whether every law of its data holds: no
// order that a customer was told of is lost, nothing is sold that isn't there, nobody is charged twice, and nothing is left lying.
//
// CLEAVE_PROVE_SHOP=full runs all of it (`make prove-shop`), in twenty minutes; without it a part, in one and a half. CLEAVE_PROVE_SEED is what
// the customers and the nemesis are drawn by; it is printed, and kept in testdata/seeds when something breaks. CLEAVE_PROVE_ONLY, a regular
// expression over "WORLD/PART", chooses parts, for one who looks for a mistake: then the figures are not those of the proof.
package shop

import (
	"fmt"
	"hash/fnv"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// The forms of a run.
const (
	formFull  = "full"
	formShort = "short"
)

func form() string {
	if full() {
		return formFull
	}
	return formShort
}

func full() bool { return os.Getenv("CLEAVE_PROVE_SHOP") == formFull }

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

// part is something that is done to a world and judged.
type part struct {
	name  string
	short bool // is done in the short form too
	do    func(t *testing.T, w *world, b *table, seed uint64)
}

// drawn is the seed of a part: each has its own, whether the others are played or not.
func (p part) drawn(seed uint64) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(p.name)) // it never fails
	return seed ^ h.Sum64()
}

// stage is a world and what is done to it.
type stage struct {
	shape
	parts []part
}

func stages() []stage {
	postgres := stage{shape{name: "postgres"}, []part{
		{"200 buyers, 10 units", true, lastUnits},
		{"8 clicks on one checkout", true, doubleClick},
		{"60 buyers, 10 coupons", true, lastCoupon},
		{"cancel and refund at once", true, changeOfMind},
		{"price changes during checkout", true, moodyPrices},
		{"partial refund, then return", true, backAndForth},
		{"kill -9 at every step", true, failpoints("kill -9 at every step", allPoints)},
		{"kill -9 at the last look", false, neverBack},
	}}
	sqlite := stage{shape{name: "sqlite", sqlite: true, ring: true, disk: 256}, []part{
		{"200 buyers, 10 units", false, lastUnits},
		{"partial refund, then return", false, backAndForth},
		{"kill -9 at some steps", false, failpoints("kill -9 at some steps", somePoints)},
	}}
	alone := stage{shape{name: "one process", sqlite: true, alone: true}, []part{
		{"kill -9 at some steps", false, failpoints("kill -9 at some steps", somePoints)},
	}}
	for _, f := range onPostgres() {
		postgres.parts = append(postgres.parts, f.part())
	}
	for _, f := range onSQLite() {
		sqlite.parts = append(sqlite.parts, f.part())
	}
	for _, f := range inOneProcess() {
		alone.parts = append(alone.parts, f.part())
	}
	postgres.parts = append(postgres.parts, part{"random nemesis", true, nemesis})
	return []stage{postgres, sqlite, alone}
}

// find returns what a kept seed plays.
func find(k kept) (part, bool) {
	for _, s := range stages() {
		for _, p := range s.parts {
			if s.name == k.world && p.name == k.part {
				return p, true
			}
		}
	}
	return part{}, false
}

func TestShop(t *testing.T) {
	b := &table{seed: seed(t)}
	only := regexp.MustCompile(os.Getenv("CLEAVE_PROVE_ONLY"))
	fmt.Println("seed", b.seed)
	again, err := keptIn(seedDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stages() {
		var parts []part
		for _, p := range s.parts {
			if (p.short || full()) && only.MatchString(s.name+"/"+p.name) {
				parts = append(parts, p)
			}
		}
		if len(parts) == 0 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			w := open(t, s.shape)
			for _, k := range again {
				if p, ok := find(k); ok && full() && k.world == s.name {
					b.play(t, w, p, k.form, k.seed, true)
				}
			}
			for _, p := range parts {
				b.play(t, w, p, form(), b.seed, false)
			}
		})
	}
	b.print()
	b.figures(t)
}

// play plays a part, and keeps the seed when it breaks something.
func (b *table) play(t *testing.T, w *world, p part, form string, seed uint64, again bool) {
	seedOfRun := b.seed
	b.where, b.label, b.seed, b.broke = w.name, w.name+": ", seed, nil
	if again {
		b.label += fmt.Sprintf("seed %d again: ", seed)
	}
	w.form, w.replay = form, again
	w.timeline.notef("%s by the seed %d", p.name, seed)
	begin := time.Now()
	if !t.Run(p.name, func(t *testing.T) { p.do(t, w, b, p.drawn(seed)) }) {
		path, err := kept{seed, form, w.name, p.name, b.broke}.keep(seedDir)
		t.Logf("%s broke by the seed %d, kept in %s, %v", p.name, seed, path, err)
	}
	fmt.Fprintf(os.Stderr, "%s: %s: %.0f s\n", w.name, p.name, time.Since(begin).Seconds())
	b.seed = seedOfRun
}
