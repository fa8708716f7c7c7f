package kv

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

const (
	maxFile  = 4 << 20
	filePoll = 250 * time.Millisecond
)

// File keeps documents, which must be JSON, in one file, a JSON object. Only its owner may read it.
type File struct{ path string }

var _ Store = (*File)(nil)

// NewFile returns the documents of the file path, which need not be there yet; its folder is made at the first Put.
func NewFile(path string) *File { return &File{path} }

// Read implements Store.
func (f *File) Read(context.Context) (map[string][]byte, error) {
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string][]byte{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the documents: %w", err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("read the documents: %s has %d bytes, at most %d", f.path, len(b), maxFile)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("read the documents: %s: %w", f.path, err)
	}
	out := make(map[string][]byte, len(raw))
	for k, v := range raw {
		out[k] = v
	}
	return out, nil
}

// Put implements Store. The file is replaced as a whole, under a lock that the kernel takes back when a process dies.
func (f *File) Put(ctx context.Context, name string, document []byte) error {
	if err := check(name, document); err != nil {
		return err
	}
	if !json.Valid(document) {
		return fmt.Errorf("write %q: it is not JSON", name)
	}
	return f.Update(ctx, func(all map[string][]byte) error {
		all[name] = document
		return nil
	})
}

// Delete implements Store.
func (f *File) Delete(ctx context.Context, name string) error {
	return f.Update(ctx, func(all map[string][]byte) error {
		delete(all, name)
		return nil
	})
}

// Update changes any number of documents at once: edit is called with all of them, and what it leaves is written, unless it fails. No other
// process changes the file meanwhile.
func (f *File) Update(ctx context.Context, edit func(all map[string][]byte) error) error {
	unlock, err := f.lock(ctx)
	if err != nil {
		return fmt.Errorf("change the documents: %w", err)
	}
	defer unlock()
	all, err := f.Read(ctx)
	if err != nil {
		return err
	}
	if err := edit(all); err != nil {
		return err
	}
	raw := make(map[string]json.RawMessage, len(all))
	for k, v := range all {
		raw[k] = v
	}
	b, err := json.MarshalIndent(raw, "", "  ")
	if err == nil {
		err = replace(f.path, append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("change the documents: %w", err)
	}
	return nil
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

// replace puts b in the place of a file at once; os.CreateTemp's files are their owner's alone.
func replace(path string, b []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".kv-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	if _, err := tmp.Write(b); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// Watch implements Watcher. A file that can't be read, or isn't JSON, changes nothing until it can.
func (f *File) Watch(ctx context.Context, fn func(map[string][]byte)) error {
	var seen os.FileInfo
	for first := true; ; {
		now, err := os.Stat(f.path)
		changed := first || (now == nil) != (seen == nil) ||
			now != nil && (!now.ModTime().Equal(seen.ModTime()) || now.Size() != seen.Size() || !os.SameFile(now, seen))
		if changed && (err == nil || errors.Is(err, fs.ErrNotExist)) {
			if all, err := f.Read(ctx); err == nil {
				seen, first = now, false
				fn(all)
			}
		}
		if err := pause(ctx, filePoll); err != nil {
			return err
		}
	}
}
