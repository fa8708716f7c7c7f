package protocols

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	orderv1 "github.com/cleavehq/cleave/proto/shop/order/v1"
	"github.com/cleavehq/cleave/test/harness"
)

// TestGeneratedClientsBuy makes the clients of connect-go and of Twirp of the contracts, in a copy of tools/clients, and buys with each of them in each
// of their protocols and codecs.
func TestGeneratedClientsBuy(t *testing.T) {
	s := harness.OneProcess(t, binary.Build(t), nil)
	_, sku, _, _ := s.Guest().InStock(t)
	dir, module := t.TempDir(), filepath.Join(root, "tools", "clients")
	if err := os.CopyFS(dir, os.DirFS(module)); err != nil {
		t.Fatal(err)
	}
	output(t, command(t.Context(), module, "go", "tool", "-modfile=../go.mod", "buf", "generate", "--template", "buf.gen.yaml", "--output", dir))
	output(t, command(t.Context(), dir, "go", "build", "-o", "bought", "./buy"))
	got := output(t, command(t.Context(), dir, filepath.Join(dir, "bought"), s.Base, sku))
	want := ""
	for _, name := range []string{
		"connect protobuf", "connect json", "connect get", "connect gzip", "grpc protobuf", "grpc json", "grpc-web protobuf", "grpc-web json",
		"twirp protobuf", "twirp json",
	} {
		want += name + ": ORDER_STATE_PAID\n"
	}
	if got != want {
		t.Errorf("bought:\n%s\nwant:\n%s", got, want)
	}
}

// TestCommandsBuy buys with what people type, buf curl and curl, and follows the order by a stream.
func TestCommandsBuy(t *testing.T) {
	s := harness.OneProcess(t, binary.Build(t), nil)
	_, sku, _, _ := s.Guest().InStock(t)
	buf := filepath.Join(t.TempDir(), "buf")
	output(t, command(t.Context(), root, "go", "build", "-modfile=tools/go.mod", "-o", buf, "github.com/bufbuild/buf/cmd/buf"))
	for name, c := range map[string]struct {
		call   caller
		follow func(base, order string) []string
	}{
		"buf curl grpc":     {byBuf(buf, "grpc"), watchByBuf(buf, "grpc")},
		"buf curl grpc-web": {byBuf(buf, "grpcweb"), watchByBuf(buf, "grpcweb")},
		"buf curl connect":  {byBuf(buf, "connect"), watchByBuf(buf, "connect")},
		"curl rest":         {byCurl(rest), watchByCurl},
		"curl connect":      {byCurl(post("/")), watchByCurl},
		"curl connect get":  {byCurl(connectGet), watchByCurl},
		"curl twirp":        {byCurl(post("/twirp/")), watchByCurl},
	} {
		t.Run(name, func(t *testing.T) {
			id := buy(t, s.Base, sku, c.call)
			follow(t, c.follow(s.Base, id))
		})
	}
}

// follow runs a command that watches an order from its beginning, and ends it when the order is paid.
func follow(t *testing.T, args []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := command(ctx, root, args[0], args[1:]...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	lines := bufio.NewScanner(out)
	for paid := false; !paid && lines.Scan(); {
		line := strings.ReplaceAll(lines.Text(), " ", "")
		seen.WriteString(line)
		paid = strings.Contains(line, `"to":"ORDER_STATE_PAID"`)
	}
	cancel()
	_ = cmd.Wait() // it was killed
	for _, want := range []string{`"eventId":"1"`, `"to":"ORDER_STATE_PENDING"`, `"to":"ORDER_STATE_PAID"`} {
		if !strings.Contains(seen.String(), want) {
			t.Errorf("no %s in %s", want, seen.String())
		}
	}
}

// byBuf calls by buf curl, which knows the contracts from their sources: the gateway offers no reflection.
func byBuf(buf, protocol string) caller {
	return byCommand(func(base, method, body string) []string {
		return []string{buf, "curl", "--schema", ".", "--protocol", protocol, "--data", body, base + method}
	})
}

func watchByBuf(buf, protocol string) func(base, order string) []string {
	return func(base, order string) []string {
		return []string{buf, "curl", "--schema", ".", "--protocol", protocol, "--data", `{"order_id":"` + order + `"}`, base + "/shop.order.v1.Order/WatchOrder"}
	}
}

// byCurl calls by curl, which fails when the status isn't one of success.
func byCurl(request func(base, method, body string) []string) caller {
	return byCommand(func(base, method, body string) []string {
		return append([]string{"curl", "--silent", "--show-error", "--fail-with-body"}, request(base, method, body)...)
	})
}

func watchByCurl(base, order string) []string {
	return []string{"curl", "--silent", "--no-buffer", "--header", "Accept: text/event-stream", base + "/v1/orders/" + order + ":watch"}
}

func post(prefix string) func(base, method, body string) []string {
	return func(base, method, body string) []string {
		return []string{"--header", "Content-Type: application/json", "--data", body, base + prefix + strings.TrimPrefix(method, "/")}
	}
}

// connectGet is Connect's GET for what has no side effects, and its POST for the rest.
func connectGet(base, method, body string) []string {
	if !strings.HasSuffix(method, "/GetOrder") {
		return post("/")(base, method, body)
	}
	return []string{"--get", "--data", "connect=v1&encoding=json", "--data-urlencode", "message=" + body, base + method}
}

func rest(base, method, body string) []string {
	switch method {
	case "/shop.cart.v1.Cart/CreateCart":
		return post("/v1/carts")(base, "", body)
	case "/shop.order.v1.Order/CreateOrder":
		return post("/v1/orders")(base, "", body)
	default:
		var in orderv1.GetOrderRequest
		if err := protojson.Unmarshal([]byte(body), &in); err != nil {
			panic(err)
		}
		return []string{base + "/v1/orders/" + url.PathEscape(in.GetOrderId())}
	}
}

// byCommand calls by a command that takes and prints JSON, and fails when the call does.
func byCommand(args func(base, method, body string) []string) caller {
	return func(ctx context.Context, base, method string, in, out proto.Message) error {
		body, err := protojson.Marshal(in)
		if err != nil {
			return err
		}
		all := args(base, method, string(body))
		answer, err := command(ctx, root, all[0], all[1:]...).Output()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(all, " "), err, answer)
		}
		return protojson.Unmarshal(answer, out)
	}
}

// root is the repository.
const root = "../.."

func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	return cmd
}

// output is what a command printed, which has to succeed.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}
