package layout

import (
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// What the README tells a newcomer to type is typed here, against a shop on its defaults.
func TestReadmeBuysSomething(t *testing.T) {
	block := regexp.MustCompile("(?s)\n## Buy something\n.*?```sh\n(.*?)```").FindSubmatch(read(t, "README.md"))
	if block == nil {
		t.Fatal("README.md has no shell block under Buy something")
	}
	var bin harness.Bin
	t.Cleanup(bin.Remove)
	shop := harness.OneProcess(t, bin.Build(t), nil)
	harness.Eventually(t, time.Minute, "the mugs are there", func() bool {
		return shop.Ready(t.Context(), "/v1/stock/MUG-MOSS", "/v1/stock/MUG-SAND")
	})

	const address = "http://127.0.0.1:8080"
	script := string(block[1])
	if strings.Count(script, address) != 1 {
		t.Fatalf("the block names %s %d times, and should once", address, strings.Count(script, address))
	}
	bash := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail")
	const key = ".cleave/admin.key"
	if strings.Count(script, key) != 1 {
		t.Fatalf("the block names %s %d times, and should once", key, strings.Count(script, key))
	}
	bash.Stdin = strings.NewReader(strings.NewReplacer(address, shop.Base, key, path.Join(shop.DataDir(), "admin.key")).Replace(script))
	out, err := bash.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`"ORDER_STATE_PAID"`, `"minor":"5400"`, `"MUG-SAND"`, `"stoneware-mug"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the answers lack %s:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), `"status":4`) || strings.Contains(string(out), `"status":5`) {
		t.Errorf("there is a problem among the answers:\n%s", out)
	}
}

// A link to a file of the repository leads to one.
func TestDocumentsLinkToWhatIsThere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	known := map[string]bool{}
	for _, f := range files(t) {
		known[f] = true
		for i := range f {
			if f[i] == '/' {
				known[f[:i]] = true
			}
		}
	}
	found := 0
	for f := range known {
		if !strings.HasSuffix(f, ".md") {
			continue
		}
		for _, m := range link.FindAllSubmatch(read(t, f), -1) {
			found++
			if to := path.Join(path.Dir(f), string(m[1])); !known[to] {
				t.Errorf("%s links to %s, which isn't there", f, m[1])
			}
		}
	}
	if found == 0 {
		t.Error("no link was found")
	}
}
