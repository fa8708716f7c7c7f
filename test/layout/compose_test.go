package layout

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/cleavehq/cleave/test/harness"
)

// project reads docker-compose.yml with the parser of `docker compose`, which also checks it against the specification's schema.
func project(t testing.TB) *types.Project {
	t.Helper()
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  root(t),
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(root(t), "docker-compose.yml")}},
		Environment: types.Mapping{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// modules are the folders of services.
func modules(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root(t), "services"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out
}

func TestComposeRunsEveryPart(t *testing.T) {
	want := append(modules(t), "consul", "gateway", "nats", "postgres")
	slices.Sort(want)
	p := project(t)
	if got := p.ServiceNames(); !slices.Equal(got, want) {
		t.Errorf("docker-compose.yml has %q, want %q", got, want)
	}
	for _, m := range modules(t) {
		s := p.Services[m]
		if i := slices.Index(s.Command, "--modules"); i < 0 || s.Command[i+1] != m {
			t.Errorf("the container %s runs %q", m, s.Command)
		}
		for i, secret := range s.Secrets {
			if i == 0 && secret.Source != m+"_data_url" || !strings.HasPrefix(secret.Source, m+"_") {
				t.Errorf("%s has the secret %s, and needs its own database's URL and nobody else's", m, secret.Source)
			}
		}
		if len(s.Secrets) == 0 {
			t.Errorf("%s has no database", m)
		}
		for _, need := range []string{"consul", "nats", "postgres"} {
			if s.DependsOn[need].Condition != types.ServiceConditionHealthy {
				t.Errorf("%s does not wait until %s is healthy", m, need)
			}
		}
	}
}

func TestContainersAreCareful(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:[a-z0-9][a-z0-9._-]*$`)
	for name, s := range project(t).Services {
		if !pinned.MatchString(s.Image) || strings.HasSuffix(s.Image, ":latest") {
			t.Errorf("%s: the image %q is not pinned", name, s.Image)
		}
		if s.HealthCheck == nil || s.HealthCheck.Disable || len(s.HealthCheck.Test) < 2 {
			t.Errorf("%s has no health check", name)
		}
		if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 || s.Deploy.Resources.Limits.NanoCPUs == 0 {
			t.Errorf("%s has no limits of processor and memory", name)
		}
		if s.Privileged || s.NetworkMode != "" || s.Pid != "" {
			t.Errorf("%s leaves its container", name)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is published on %q, not on loopback only", name, port.Published, port.HostIP)
			}
		}
		for key, value := range s.Environment {
			if value != nil && regexp.MustCompile(`(?i)password|secret|token`).MatchString(key) && !strings.HasSuffix(key, "_FILE") {
				t.Errorf("%s: %s is in the environment, where every process of the container and every log of it may read it", name, key)
			}
		}
		if s.Build != nil && (!s.ReadOnly || !slices.Contains(s.CapDrop, "ALL")) {
			t.Errorf("%s: our own containers write to no image and need no capability", name)
		}
	}
}

// Every command, of docker-compose.yml and of the Dockerfile, is one that the binary takes; and the checks use its own health check.
func TestContainerCommandsParse(t *testing.T) {
	var bin harness.Bin
	t.Cleanup(bin.Remove)
	cleave := bin.Build(t)
	commands := [][]string{jsonForm(t, `(?m)^CMD (\[.*\])$`)}
	checks := [][]string{jsonForm(t, `(?m)^HEALTHCHECK .*CMD (\[.*\])$`)}
	for _, s := range project(t).Services {
		if s.Build != nil {
			commands = append(commands, s.Command)
			checks = append(checks, s.HealthCheck.Test[1:])
		}
	}
	if len(commands) != len(modules(t))+2 {
		t.Fatalf("%d commands were found", len(commands))
	}
	for _, c := range checks {
		if c[0] != "/cleave" || c[1] != "healthcheck" {
			t.Fatalf("a health check is %q", c)
		}
		commands = append(commands, c[1:])
	}
	for _, c := range commands {
		// With --help cobra reads every flag, refuses those that it doesn't know, and runs nothing.
		if out, err := exec.CommandContext(t.Context(), cleave, append(slices.Clone(c), "--help")...).CombinedOutput(); err != nil {
			t.Errorf("cleave %s: %v\n%s", strings.Join(c, " "), err, out)
		}
	}
	if err := exec.CommandContext(t.Context(), cleave, "run", "--no-such-flag", "--help").Run(); err == nil {
		t.Error("cleave takes a flag that there isn't: nothing above was checked")
	}
}

// jsonForm returns the words of an instruction of the Dockerfile.
func jsonForm(t testing.TB, pattern string) []string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindSubmatch(read(t, "Dockerfile"))
	if m == nil {
		t.Fatalf("the Dockerfile has no %s", pattern)
	}
	var out []string
	for _, word := range regexp.MustCompile(`"([^"]*)"`).FindAllSubmatch(m[1], -1) {
		out = append(out, string(word[1]))
	}
	return out
}

func TestDockerfile(t *testing.T) {
	text := read(t, "Dockerfile")
	from := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllSubmatch(text, -1)
	if len(from) != 2 {
		t.Errorf("the Dockerfile has %d stages, want two", len(from))
	}
	for _, f := range from {
		if _, tag, ok := bytes.Cut(f[1], []byte(":")); !ok || string(tag) == "latest" {
			t.Errorf("the image %s is not pinned", f[1])
		}
	}
	for _, want := range []string{"CGO_ENABLED=0", "-trimpath", "\nUSER nonroot:nonroot\n", "\nHEALTHCHECK "} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the Dockerfile lacks %q", want)
		}
	}
	// The Go that builds the image is the one that go.mod asks for, or a later one.
	image := regexp.MustCompile(`FROM golang:(\d+\.\d+)`).FindSubmatch(text)
	mod := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(read(t, "go.mod"))
	if image == nil || mod == nil || !bytes.Equal(image[1], mod[1]) {
		t.Errorf("the Dockerfile builds with Go %q, go.mod wants %q", image, mod)
	}
}

// What .dockerignore lets through is enough: the binary builds, static, from a folder with nothing else in it.
func TestDockerContextIsEnough(t *testing.T) {
	dir := t.TempDir()
	for _, path := range files(t) {
		if !inContext(t, path) {
			continue
		}
		to := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, read(t, path), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", filepath.Join(dir, "cleave.bin"), "./cmd/cleave")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// inContext reads .dockerignore as far as ours goes: everything is out, but what a "!" names, but tests and their data.
func inContext(t testing.TB, path string) bool {
	t.Helper()
	if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/testdata/") {
		return false
	}
	for line := range strings.SplitSeq(string(read(t, ".dockerignore")), "\n") {
		if name, ok := strings.CutPrefix(line, "!"); ok && within(path, name) {
			return true
		}
	}
	return false
}
