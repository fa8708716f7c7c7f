package shop

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// kept is a seed by which something broke. It is a small text, a name and its value in a line each, in a file of testdata/seeds:
//
//	seed 1764081234567890
//	form full
//	world postgres
//	part random nemesis
//	broke payment.answers_came (...) is broken 1 times: ...
//
// Each thing that broke has a line; lines that are empty or begin with # are for people. The full form plays every kept seed again before
// anything else, also when what it broke is repaired: who repairs it commits the file.
type kept struct {
	seed              uint64
	form, world, part string
	broke             []string
}

const (
	seedDir = "testdata/seeds"
	seedExt = ".seed"
)

// longest is how much of one broken thing is kept.
const longest = 2000

// bytes is the text of the file.
func (k kept) bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "seed %d\nform %s\nworld %s\npart %s\n", k.seed, k.form, k.world, k.part)
	for _, what := range k.broke {
		what = strings.Join(strings.Fields(what), " ")
		fmt.Fprintf(&b, "broke %s\n", what[:min(len(what), longest)])
	}
	return b.Bytes()
}

// parseKept reads the text of a file. A line that it doesn't know is an error, and so is a file that doesn't say what to play.
func parseKept(text []byte) (k kept, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch {
		case name == "" || strings.HasPrefix(name, "#"):
		case value == "":
			return k, fmt.Errorf("%q has no value", lines.Text())
		case name == "seed":
			if k.seed, err = strconv.ParseUint(value, 10, 64); err != nil {
				return k, err
			}
		case name == "form":
			k.form = value
		case name == "world":
			k.world = value
		case name == "part":
			k.part = value
		case name == "broke":
			k.broke = append(k.broke, value)
		default:
			return k, fmt.Errorf("%q is none of seed, form, world, part and broke", name)
		}
	}
	if k.seed == 0 || k.form != formFull && k.form != formShort || k.world == "" || k.part == "" {
		return k, errors.New("a seed, a form, full or short, a world and a part are needed")
	}
	return k, lines.Err()
}

var notAName = regexp.MustCompile(`[^a-z0-9]+`)

// keep writes a seed into dir, and returns the file's name. The same seed, world and part have one file.
func (k kept) keep(dir string) (string, error) {
	name := strings.Trim(notAName.ReplaceAllString(strings.ToLower(fmt.Sprintf("%s %s %d", k.world, k.part, k.seed)), "-"), "-")
	path := filepath.Join(dir, name+seedExt)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(path, k.bytes(), 0o600)
	}
	return path, err
}

// keptIn reads every seed of dir, in the order of their names.
func keptIn(dir string) ([]kept, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+seedExt))
	if err != nil {
		return nil, err
	}
	var all []kept
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		k, err := parseKept(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, k)
	}
	return all, nil
}

func TestKeptSeeds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "seeds")
	if all, err := keptIn(dir); err != nil || len(all) != 0 {
		t.Errorf("of no folder: %v, %v", all, err)
	}
	want := kept{seed: 1 << 63, form: "full", world: "postgres", part: "random nemesis", broke: []string{"one thing: a=1", "another"}}
	lines := want
	lines.broke = []string{"one\n thing: a=1", "another "}
	var path string
	for range 2 { // one file
		var err error
		if path, err = lines.keep(dir); err != nil || filepath.Base(path) != "postgres-random-nemesis-9223372036854775808.seed" {
			t.Fatalf("%s, %v", path, err)
		}
	}
	other := kept{seed: 7, form: "short", world: "one process", part: "kill -9 everything"}
	if _, err := other.keep(dir); err != nil {
		t.Fatal(err)
	}
	all, err := keptIn(dir)
	if err != nil || len(all) != 2 || !slices.Equal(all[1].broke, want.broke) || all[1].seed != want.seed || all[1].part != want.part || all[0].world != other.world {
		t.Errorf("%+v, %v", all, err)
	}
	for _, bad := range []string{
		"", "# nothing", "seed x\nworld w\npart p", "seed\nworld w\npart p", "world w\npart p", "seed 1\npart p", "seed 1\nworld w", "seed 1\nworld w\npart p\nsea 1",
		"seed 1\nworld w\npart p\nform long",
	} {
		if !strings.Contains(bad, "form") {
			bad += "\nform full"
		}
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if all, err := keptIn(dir); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q is %+v, %v", bad, all, err)
		}
	}
}

// What is kept can be played: its world and its part are there still.
func TestKeptSeedsArePlayable(t *testing.T) {
	all, err := keptIn(seedDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		if _, ok := find(k); !ok {
			t.Errorf("the world %q has no part %q: what becomes of the seed %d?", k.world, k.part, k.seed)
		}
	}
}
