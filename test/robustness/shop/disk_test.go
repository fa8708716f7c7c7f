package shop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/cleavehq/cleave/test/harness"
)

// disk is a small one: a tmpfs in a mount namespace of its own, which goes with the process that holds it. That needs no privilege where a
// user may make a user namespace, and none but root's elsewhere.
type disk struct {
	dir     string // as those see it who have entered
	outside string // the root of the disk, as everybody sees it; SQLite and others that resolve links don't
	holder  int    // process
}

// enter is a command that runs where the disk is.
func (d *disk) enter(command []string) []string {
	as := []string{"nsenter", "--target", strconv.Itoa(d.holder), "--mount"}
	if os.Getuid() != 0 {
		as = append(as, "--user", "--preserve-credentials")
	}
	return append(append(as, "--"), command...)
}

// mount makes a disk of so many MiB. Where the kernel lets nobody, the test fails: a disk that is never full proves nothing.
func mount(t *testing.T, size int) *disk {
	t.Helper()
	at := t.TempDir()
	unshare := []string{"--mount"}
	if os.Getuid() != 0 {
		unshare = append(unshare, "--user", "--map-root-user")
	}
	script := `mount -t tmpfs -o size="$1"m,mode=0777 none "$2" && mkdir "$2/data" && exec sleep infinity`
	holder := harness.Start(t, nil, "unshare", append(unshare, "sh", "-c", script, "sh", strconv.Itoa(size), at)...)
	d := &disk{dir: filepath.Join(at, "data"), outside: fmt.Sprintf("/proc/%d/root%s", holder.PID(), at), holder: holder.PID()}
	harness.Eventually(t, 30*time.Second, "a small disk is mounted", func() bool {
		if holder.Exited() {
			t.Fatalf("no small disk can be mounted here, as root or with user namespaces (unshare --mount):\n%s", holder.Output())
		}
		_, err := os.Stat(filepath.Join(d.outside, "data"))
		return err == nil
	})
	return d
}

// fill writes until nothing more fits, and returns what makes room again.
func (d *disk) fill(t *testing.T) (empty func()) {
	t.Helper()
	name := filepath.Join(d.outside, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 1<<20); len(block) > 0; {
		switch _, err := f.Write(block); {
		case errors.Is(err, syscall.ENOSPC):
			block = block[:len(block)/2] // down to the last byte
		case err != nil:
			t.Fatal(err)
		}
	}
	return func() {
		if err := errors.Join(f.Close(), os.Remove(name)); err != nil {
			t.Fatal(err)
		}
	}
}
