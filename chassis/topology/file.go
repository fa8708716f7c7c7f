package topology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// maxFile bounds a file of rules, in bytes.
const maxFile = 4 << 20

// File keeps rules in a file that the processes of one machine share.
type File struct {
	path string
	now  func() time.Time
	poll time.Duration
}

var _ Store = (*File)(nil)

// NewFile returns a store in the file path, which need not be there yet; its folder is made at the first Put. now is the clock. The file is
// looked at ten times a second.
func NewFile(path string, now func() time.Time) *File {
	return &File{path: path, now: now, poll: 100 * time.Millisecond}
}

// document is the whole file: of each module the versions, the newest first.
type document struct {
	Rules map[string][]Rule `json:"rules"`
}

func (f *File) read() (document, error) {
	d := document{Rules: map[string][]Rule{}}
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, fmt.Errorf("read the topology: %w", err)
	}
	if len(b) > maxFile {
		return d, fmt.Errorf("read the topology: %s has %d bytes, at most %d", f.path, len(b), maxFile)
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return d, fmt.Errorf("read the topology: %s: %w", f.path, err)
	}
	if d.Rules == nil {
		d.Rules = map[string][]Rule{}
	}
	return d, nil
}

// Rules implements Store.
func (f *File) Rules(context.Context) (map[string]Rule, error) {
	d, err := f.read()
	if err != nil {
		return nil, err
	}
	return d.current(), nil
}

func (d document) current() map[string]Rule {
	out := make(map[string]Rule, len(d.Rules))
	for module, versions := range d.Rules {
		if len(versions) > 0 {
			out[module] = versions[0]
		}
	}
	return out
}

// History implements Store.
func (f *File) History(_ context.Context, module string) ([]Rule, error) {
	d, err := f.read()
	return d.Rules[module], err
}

// Put implements Store. The file is replaced as a whole, under a lock that the kernel takes back when a process dies.
func (f *File) Put(ctx context.Context, r Rule) (Rule, error) {
	if err := r.Validate(); err != nil {
		return Rule{}, err
	}
	unlock, err := f.lock(ctx)
	if err != nil {
		return Rule{}, fmt.Errorf("change the topology: %w", err)
	}
	defer unlock()
	d, err := f.read()
	if err != nil {
		return Rule{}, err
	}
	versions := d.Rules[r.Module]
	var now int64
	if len(versions) > 0 {
		now = versions[0].Version
	}
	if conflicts(r.Version, now) {
		return Rule{}, fmt.Errorf("change the topology of %s from version %d: %w: %d", r.Module, r.Version, ErrConflict, now)
	}
	r.Version, r.Time = r.Version+1, f.now().UTC()
	versions = append([]Rule{r}, versions...)
	d.Rules[r.Module] = versions[:min(len(versions), HistoryLimit)]
	if err := f.write(d); err != nil {
		return Rule{}, fmt.Errorf("change the topology: %w", err)
	}
	return r, nil
}

// lock waits until no other process changes the file.
func (f *File) lock(ctx context.Context) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(f.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil // closing it unlocks
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(err, file.Close())
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
}

func (f *File) write(d document) (err error) {
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.path), ".topology-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	if _, err := tmp.Write(append(b, '\n')); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), f.path)
}

// Watch implements Store.
func (f *File) Watch(ctx context.Context, fn func(map[string]Rule, error)) error {
	var seen os.FileInfo
	for first := true; ; first = false {
		now, err := os.Stat(f.path)
		changed := first || (now == nil) != (seen == nil) ||
			now != nil && (!now.ModTime().Equal(seen.ModTime()) || now.Size() != seen.Size() || !os.SameFile(now, seen))
		if changed && (err == nil || errors.Is(err, fs.ErrNotExist)) {
			seen = now
			d, err := f.read()
			fn(d.current(), err)
		}
		if err := pause(ctx, f.poll); err != nil {
			return err
		}
	}
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
