package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// listed is what `go list` says of a package.
type listed struct {
	ImportPath   string
	Name         string
	Doc          string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func packages(t testing.TB) []listed {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(run(t, "go", "list", "-json=ImportPath,Name,Doc,GoFiles,Imports,TestImports,XTestImports", "./...")))
	var out []listed
	for {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
}

// may says which folders of the repository the packages of a folder may import.
func may() map[string][]string {
	return map[string][]string{
		"cmd":      {"cmd", "api", "services", "chassis", "proto"},
		"api":      {"api", "chassis", "proto"},
		"services": {"chassis", "proto"}, // and the module's own folder
		"chassis":  {"chassis"},
		"proto":    {"proto"},
		"test":     {"test", "cmd", "api", "services", "chassis", "proto"},
	}
}

// transports are what a module must not know: it is handed a client, a server and a broker.
func transports() []string {
	return []string{
		"net/http", "net/rpc", "google.golang.org/grpc", "github.com/hashicorp", "github.com/nats-io", "github.com/rabbitmq",
		"github.com/streadway", "github.com/go-micro/plugins", "go-micro.dev/v4/registry", "go-micro.dev/v4/transport",
		module + "/chassis/rpc", module + "/chassis/discovery",
	}
}

// forbidden returns why from must not import to, or "".
func forbidden(from, to string, test bool) string {
	if !test && strings.HasPrefix(from, module+"/services/") {
		for _, p := range transports() {
			// A code is how an error says what it is: google.golang.org/grpc/codes is a list of numbers.
			if within(to, p) && to != "google.golang.org/grpc/codes" {
				return "a module knows no registry, broker or transport"
			}
		}
	}
	if !within(to, module) {
		return ""
	}
	here, there := split(from), split(to)
	if here[0] == "services" && there[0] == "services" {
		if here[1] == there[1] {
			return ""
		}
		return "a module never imports another: only its contract in proto"
	}
	// A test of the library needs some contract to call, and the shop's are at hand.
	if slices.Contains(may()[here[0]], there[0]) || test && there[0] == "proto" {
		return ""
	}
	return here[0] + " may import " + strings.Join(may()[here[0]], ", ") + " only"
}

func within(pkg, path string) bool { return pkg == path || strings.HasPrefix(pkg, path+"/") }

// split returns the first two folders of a package's path in the repository.
func split(pkg string) [2]string {
	parts := append(strings.Split(strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/"), "/"), "")
	return [2]string{parts[0], parts[1]}
}

func TestImports(t *testing.T) {
	all := packages(t)
	if len(all) < 20 {
		t.Fatalf("go list names %d packages only", len(all))
	}
	for _, p := range all {
		for _, to := range p.Imports {
			if why := forbidden(p.ImportPath, to, false); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, to, why)
			}
		}
		for _, to := range append(p.TestImports, p.XTestImports...) {
			if why := forbidden(p.ImportPath, to, true); why != "" {
				t.Errorf("a test of %s imports %s: %s", p.ImportPath, to, why)
			}
		}
	}
}

// The rule itself is tested, so that it can't fall silent.
func TestImportRule(t *testing.T) {
	for _, c := range []struct {
		from, to string
		ok       bool
	}{
		{"services/order", "chassis/problem", true},
		{"services/order", "services/order/internal/store", true},
		{"services/order", "proto/shop/cart/v1", true},
		{"services/order", "services/cart", false},
		{"services/order", "api", false},
		{"services/order", "chassis/rpc", false},
		{"chassis/rpc", "chassis/problem", true},
		{"chassis/rpc", "proto/shop/cart/v1", false},
		{"chassis/rpc", "services/order", false},
		{"proto/shop/cart/v1", "chassis/problem", false},
		{"api", "services/order", false},
		{"api", "cmd/cleave", false},
		{"cmd/cleave", "services/order", true},
	} {
		if why := forbidden(module+"/"+c.from, module+"/"+c.to, false); (why == "") != c.ok {
			t.Errorf("%s imports %s: %q", c.from, c.to, why)
		}
	}
	for to, ok := range map[string]bool{
		"google.golang.org/grpc/codes": true, "database/sql": true, "go-micro.dev/v4/client": true, "go-micro.dev/v4/broker": true,
		"google.golang.org/grpc": false, "google.golang.org/grpc/status": false, "github.com/hashicorp/consul/api": false,
		"github.com/nats-io/nats.go": false, "net/http": false,
	} {
		if why := forbidden(module+"/services/order", to, false); (why == "") != ok {
			t.Errorf("a module imports %s: %q", to, why)
		}
	}
}
