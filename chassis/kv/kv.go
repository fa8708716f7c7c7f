// Package kv keeps small documents under names, where an operator can write them and running processes see each change: in Consul's
// key/value store, or in a file that the processes of one machine share.
//
// # Limits
//
//	document   512 KiB   Consul's own limit
//	file       4 MiB     with all its documents
//	file       250 ms    until a change is seen; Consul's are seen at once, by blocking queries
package kv

import (
	"context"
	"fmt"
	"time"
)

// Store keeps documents by name.
type Store interface {
	Watcher
	// Read returns all documents.
	Read(ctx context.Context) (map[string][]byte, error)
	// Put writes one.
	Put(ctx context.Context, name string, document []byte) error
	// Delete removes one; one that isn't there is no error.
	Delete(ctx context.Context, name string) error
}

// Watcher tells of documents and of their changes.
type Watcher interface {
	// Watch calls fn with all documents, once they can be read and again after each change, until ctx ends; then it returns ctx's error.
	// While the store doesn't answer nothing is called. fn is called by one goroutine at a time.
	Watch(ctx context.Context, fn func(map[string][]byte)) error
}

// Static are documents that never change.
type Static map[string][]byte

var _ Watcher = Static(nil)

// Watch implements Watcher.
func (s Static) Watch(ctx context.Context, fn func(map[string][]byte)) error {
	fn(s)
	<-ctx.Done()
	return ctx.Err()
}

const maxDocument = 512 << 10

func check(name string, document []byte) error {
	if name == "" || len(document) > maxDocument {
		return fmt.Errorf("write %q: it needs a name, and has %d bytes of at most %d", name, len(document), maxDocument)
	}
	return nil
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
