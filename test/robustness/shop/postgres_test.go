package shop

import (
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cleavehq/cleave/chassis/data/datatest"
	"github.com/cleavehq/cleave/test/harness"
)

// postgres is a PostgreSQL server that a test may crash: a private one, where its programs are installed, else the tests' own, which it may
// not. A private one has room for every module's connections.
type postgres struct {
	*harness.Process // nil: it isn't ours
	url              string
	t                testing.TB
	args             []string
}

func startPostgres(t testing.TB) *postgres {
	t.Helper()
	bin := postgresBin()
	if bin == "" {
		return &postgres{url: datatest.PostgresURL(t, modules()...)}
	}
	dir, err := os.MkdirTemp("", "shop-postgres-") //nolint:usetesting // its own user must be able to come there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var as []string
	if os.Getuid() == 0 { // it refuses to run as root
		as = other(t, dir)
	}
	init := append(slices.Clone(as), filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
	if out, err := exec.CommandContext(t.Context(), init[0], init[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	host, port, err := net.SplitHostPort(harness.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &postgres{t: t, url: "postgres://postgres@" + net.JoinHostPort(host, port) + "/postgres?sslmode=disable"}
	p.args = append(slices.Clone(as), filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"), "-p", port, "-c", "listen_addresses="+host,
		"-c", "unix_socket_directories=", "-c", "max_connections=300")
	p.run()
	t.Cleanup(func() { p.crash() })
	return p
}

// run starts the server, and waits until it answers.
func (p *postgres) run() {
	p.t.Helper()
	p.Process = harness.Start(p.t, nil, p.args[0], p.args[1:]...)
	harness.Eventually(p.t, 30*time.Second, "PostgreSQL answers", func() bool {
		c, err := pgx.Connect(p.t.Context(), p.url)
		if err == nil {
			_ = c.Close(p.t.Context())
		}
		return err == nil
	})
}

// crash is `pg_ctl stop -m immediate`: nothing is written out, and the next start recovers from the log.
func (p *postgres) crash() {
	p.Signal(syscall.SIGQUIT)
	p.Wait(30 * time.Second) // also when the test's context has ended
}

// postgresBin is the folder of initdb and postgres, or "".
func postgresBin() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is good
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[len(found)-1])
}

// other gives a folder to the user postgres, and returns the words that run a command as that one.
func other(t testing.TB, dir string) []string {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("PostgreSQL doesn't run as root, and there is no other user for it: %v", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return []string{"setpriv", "--reuid", u.Uid, "--regid", u.Gid, "--clear-groups", "--"}
}
