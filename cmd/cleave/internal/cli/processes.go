package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/cleavehq/cleave/chassis/admin"
)

const (
	askTime = 3 * time.Second // of one page of one process
	maxPage = 16 << 20
)

// process is one that the registry knows, with all that it runs.
type process struct {
	Admin   string     // of its own listener; "" when it doesn't say
	Host    string     // its name in the topology; "gateway" for a gateway alone
	Modules []instance // sorted
}

// instance of a module in a process.
type instance struct {
	Name, Version string
	Node          *registry.Node
}

// processes are those in the registry, sorted by host.
func (se *session) processes() ([]process, error) {
	names, err := se.names()
	if err != nil {
		return nil, err
	}
	byAdmin := map[string]*process{}
	for _, name := range names {
		list, err := se.reg.GetService(name)
		if errors.Is(err, registry.ErrNotFound) { // it has just gone
			continue
		}
		if err != nil {
			return nil, &codedError{exitUnreachable, fmt.Errorf("ask the registry: %w", err)}
		}
		for _, s := range list {
			for _, n := range s.Nodes {
				if n.Metadata["module"] == "" { // somebody else's
					continue
				}
				key := cmp.Or(n.Metadata[admin.Key], n.Id)
				p := byAdmin[key]
				if p == nil {
					p = &process{Admin: n.Metadata[admin.Key]}
					byAdmin[key] = p
				}
				p.Host = cmp.Or(p.Host, n.Metadata["host"])
				p.Modules = append(p.Modules, instance{name, n.Metadata["version"], n})
			}
		}
	}
	out := make([]process, 0, len(byAdmin))
	for _, p := range byAdmin {
		p.Host = cmp.Or(p.Host, p.Modules[0].Name)
		slices.SortFunc(p.Modules, func(a, b instance) int { return strings.Compare(a.Name, b.Name) })
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b process) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Admin, b.Admin))
	})
	return out, nil
}

// page reads a page of the process's own listener.
func (p process) page(ctx context.Context, path string) ([]byte, error) {
	if p.Admin == "" {
		return nil, errors.New("it doesn't say where its admin listener is")
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Admin+path, nil)
	if err != nil {
		return nil, err
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rsp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(rsp.Body, maxPage))
	if err == nil && rsp.StatusCode != http.StatusOK && rsp.StatusCode != http.StatusServiceUnavailable { // who isn't well says so
		err = fmt.Errorf("GET %s: %s", path, rsp.Status)
	}
	return b, err
}

// read reads a page that is JSON.
func (p process) read(ctx context.Context, path string, into any) error {
	b, err := p.page(ctx, path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// each asks all processes at once; fn is called with the index of each.
func each(list []process, fn func(i int, p process)) {
	var all sync.WaitGroup
	defer all.Wait()
	for i, p := range list {
		all.Go(func() { fn(i, p) })
	}
}
