package layout

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

// observed is docker-compose.yml with the profile `observe`.
func observed(t testing.TB) *types.Project {
	t.Helper()
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  root(t),
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(root(t), "docker-compose.yml")}},
		Environment: types.Mapping{"CLEAVE_OTLP_ENDPOINT": "http://jaeger:4318"},
	}, loader.WithProfiles([]string{"observe"}))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestObserveIsCareful(t *testing.T) {
	p := observed(t)
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:v?[0-9]+\.[0-9]+\.[0-9]+$`)
	for _, name := range []string{"prometheus", "grafana", "jaeger"} {
		s, ok := p.Services[name]
		if !ok || !slices.Contains(s.Profiles, "observe") {
			t.Fatalf("%s is not in the profile observe", name)
		}
		if !pinned.MatchString(s.Image) || s.HealthCheck == nil || s.Deploy == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 {
			t.Errorf("%s: the image %q is not pinned, or it has no health check or no limits", name, s.Image)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is published on %q", name, port.Published, port.HostIP)
			}
		}
		for _, v := range s.Volumes {
			if info, err := os.Stat(v.Source); err != nil || info.IsDir() || !v.ReadOnly {
				t.Errorf("%s mounts %s, which is no file, or may be written: %v", name, v.Source, err)
			}
		}
	}
	for _, m := range append(modules(t), "gateway") {
		if e := p.Services[m].Environment; e["CLEAVE_ADMIN_LISTEN"] == nil || e["CLEAVE_OTLP_ENDPOINT"] == nil || *e["CLEAVE_OTLP_ENDPOINT"] != "http://jaeger:4318" {
			t.Errorf("%s can't be observed: %v", m, e)
		}
	}
}

func TestPrometheusFindsProcessesInConsul(t *testing.T) {
	var c struct {
		Scrape []struct {
			Job    string `yaml:"job_name"`
			Consul []struct {
				Server string `yaml:"server"`
			} `yaml:"consul_sd_configs"`
			Relabel []struct {
				Source []string `yaml:"source_labels"`
				Target string   `yaml:"target_label"`
				Action string   `yaml:"action"`
				Regex  string   `yaml:"regex"`
			} `yaml:"relabel_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal(read(t, "docs/observe/prometheus.yml"), &c); err != nil {
		t.Fatal(err)
	}
	const admin = "__meta_consul_service_metadata_admin"
	kept, addressed := false, false
	for _, s := range c.Scrape {
		if s.Job != "cleave" || len(s.Consul) != 1 || s.Consul[0].Server != "consul:8500" {
			continue
		}
		for _, r := range s.Relabel {
			kept = kept || r.Action == "keep" && slices.Equal(r.Source, []string{admin}) && r.Regex == ".+"
			addressed = addressed || r.Target == "__address__" && slices.Equal(r.Source, []string{admin})
			if r.Target == "service" || slices.Contains(r.Source, "__meta_consul_service") {
				t.Error("a label tells modules apart: a process of ten would be scraped ten times")
			}
		}
	}
	if !kept || !addressed {
		t.Errorf("Prometheus doesn't go by the admin listener that Consul knows: %+v", c)
	}
	for _, name := range []string{"datasources.yml", "dashboards.yml"} {
		var file map[string]any
		if err := yaml.Unmarshal(read(t, "docs/observe/grafana/"+name), &file); err != nil || file["apiVersion"] != 1 {
			t.Errorf("%s: %v, %v", name, file, err)
		}
	}
}

// Every metric on the dashboard is one that the code has.
func TestDashboardShowsWhatThereIs(t *testing.T) {
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(t, "docs/observe/grafana/cleave.json"), &d); err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, path := range files(t) {
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && (strings.HasPrefix(path, "chassis/") || strings.HasPrefix(path, "api/")) {
			code.Write(read(t, path))
		}
	}
	name := regexp.MustCompile(`\b(?:gateway|rpc|resilience|outbox|inbox|telemetry)_[a-z_]+`)
	seen := 0
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			for _, m := range name.FindAllString(target.Expr, -1) {
				seen++
				m = strings.TrimSuffix(strings.TrimSuffix(m, "_bucket"), "_count")
				if !strings.Contains(code.String(), `"`+m+`"`) {
					t.Errorf("%s: there is no metric %s", p.Title, m)
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("%d metrics were found on the dashboard: nothing was checked", seen)
	}
}
