package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cleavehq/cleave/chassis/data"
)

const (
	leastSpace = 512 << 20
	oldBacklog = time.Minute
)

// folder looks at the data's folder: that it can be written, that it is nobody else's, that there is room.
func (c *checkup) folder(context.Context) {
	const what = "data folder"
	dir := c.s.Data.Dir
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		c.goodf(what, "%s isn't there yet; the first start makes it", dir)
		return
	}
	if err != nil || !info.IsDir() {
		c.badf(what, "choose another one with --data-dir", "%s is no folder: %v", dir, err)
		return
	}
	if unix.Access(dir, unix.W_OK|unix.X_OK) != nil {
		c.badf(what, fmt.Sprintf("chown %d %s, or choose another one with --data-dir", os.Getuid(), dir), "%s can't be written by user %d", dir, os.Getuid())
		return
	}
	if info.Mode().Perm()&0o007 != 0 {
		c.badf(what, "chmod 700 "+dir, "%s is open to every user of this machine (%v), and holds keys and customers' data", dir, info.Mode().Perm())
		return
	}
	var space unix.Statfs_t
	if unix.Statfs(dir, &space) == nil {
		if free := space.Bavail * uint64(space.Bsize); free < leastSpace { //nolint:gosec // a block has a size
			c.badf(what, "make room: databases stop when there is none", "%s has %d MiB left", dir, free>>20)
			return
		}
	}
	c.goodf(what, "%s can be written, and is nobody else's", dir)
}

// port looks who has the gateway's port.
func (c *checkup) port(ctx context.Context) {
	const what = "gateway port"
	address := c.s.Listen
	if !strings.Contains(address, ":") {
		address = net.JoinHostPort(address, "8080")
	}
	if _, port, err := net.SplitHostPort(address); err == nil && port == "0" {
		return // any free one
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err == nil {
		_ = ln.Close()
		c.goodf(what, "%s is free", address)
		return
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		c.badf(what, "choose another address with --listen", "%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if httpHealth(ctx, "http://"+address+"/healthz") == nil {
		c.goodf(what, "%s is answered by a gateway", address)
		return
	}
	c.badf(what, "end the other program (ss -ltnp says which it is), or choose another address with --listen", "%s is taken, and not by a gateway", address)
}

// hosts looks for notes of hosts that are gone.
func (c *checkup) hosts(context.Context) {
	const what = "hosts of this machine"
	files, err := filepath.Glob(noteFile(c.s, "*"))
	if err != nil {
		return
	}
	stale := 0
	for _, f := range files {
		r, err := readNote(f)
		switch {
		case err != nil:
			c.badf(what, "rm "+f, "%s can't be read: %v", f, err)
		case errors.Is(syscall.Kill(r.PID, 0), syscall.ESRCH):
			c.badf(what, fmt.Sprintf("start it again, or rm %s", f), "%s says that the host %s runs as process %d, which is gone: it was killed", f, r.Host, r.PID)
		default:
			continue
		}
		stale++
	}
	if stale == 0 {
		c.goodf(what, "%d with a broker inside, all running", len(files))
	}
}

// databases looks at every module's.
func (c *checkup) databases(ctx context.Context) {
	where := "SQLite, in " + c.s.Data.Dir
	if c.s.Data.URL != "" {
		where = "PostgreSQL, " + redacted(c.s.Data.URL)
	}
	found, wrong := 0, 0
	for _, m := range c.a.env.Modules {
		what := "database of " + m.Name
		st, err := readOutbox(ctx, data.Config{URL: c.s.Data.URL, Dir: c.s.Data.Dir, Module: m.Name})
		if errors.Is(err, data.ErrNoDatabase) {
			continue
		}
		found++
		if err != nil {
			wrong++
			mend := "restore the file from a backup, or see who holds it: fuser"
			if c.s.Data.URL != "" {
				mend = "start the server, or say where it is with --data-url-file"
			}
			c.badf(what, mend, "%v", err)
			if c.s.Data.URL != "" {
				return // it is one server
			}
			continue
		}
		if st.Pending > 0 && c.a.now().Sub(st.Oldest) > oldBacklog {
			wrong++
			c.badf("outbox of "+m.Name, "start the module, or look why its broker doesn't take them: cleave outbox status", "%d events wait to be published, the first one for %v",
				st.Pending, c.a.now().Sub(st.Oldest).Round(time.Second))
		}
		if st.Dead > 0 {
			wrong++
			c.badf("dead letters of "+m.Name, "cleave events dead list; mend what it says, then cleave events dead replay", "%d events were given up by a consumer of the module", st.Dead)
		}
	}
	if wrong == 0 {
		c.goodf("databases", "%s: %d answer, no outbox is behind", where, found)
	}
}
