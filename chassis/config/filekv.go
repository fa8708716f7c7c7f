package config

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cleavehq/cleave/chassis/kv"
)

// FileKV keeps settings in one JSON file, for the processes of one machine: values as strings under "value/log/level", and their history.
type FileKV struct {
	file *kv.File
	path string
}

var _ Backend = (*FileKV)(nil)

const (
	valueFolder   = "value/"
	historyFolder = "history/"
)

// NewFileKV returns the settings of the file path, which need not be there yet.
func NewFileKV(path string) *FileKV { return &FileKV{kv.NewFile(path), path} }

// Values implements KV.
func (f *FileKV) Values(ctx context.Context) (map[string]string, error) {
	all, err := f.file.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return valuesIn(all), nil
}

func valuesIn(documents map[string][]byte) map[string]string {
	out := map[string]string{}
	for name, b := range documents {
		key, ok := strings.CutPrefix(name, valueFolder)
		if !ok {
			continue
		}
		var text string
		if json.Unmarshal(b, &text) != nil {
			text = string(b) // a number or true, written by hand
		}
		out[key] = text
	}
	return out
}

// Where names the file and the key.
func (f *FileKV) Where(key string) string { return f.path + ":" + key }

// Watch implements Backend; a change is seen within 250 ms.
func (f *FileKV) Watch(ctx context.Context, fn func(map[string]string)) error {
	return f.file.Watch(ctx, func(all map[string][]byte) { fn(valuesIn(all)) })
}

// Change implements Backend.
func (f *FileKV) Change(ctx context.Context, c Change) (Change, error) {
	if err := c.check(); err != nil {
		return Change{}, err
	}
	err := f.file.Update(ctx, func(all map[string][]byte) error {
		past, err := historyIn(all)
		if err != nil {
			return err
		}
		c.Version, c.Old, c.Time = 1, nil, time.Now().UTC()
		if len(past) > 0 {
			c.Version = past[0].Version + 1
		}
		name := leaf{key: c.Key}.path()
		if old, ok := valuesIn(all)[name]; ok {
			c.Old = &old
		}
		delete(all, valueFolder+name)
		if c.New != nil {
			if all[valueFolder+name], err = json.Marshal(*c.New); err != nil {
				return err
			}
		}
		if all[historyName(c.Version)], err = json.Marshal(c); err != nil {
			return err
		}
		for _, old := range past[min(len(past), HistoryLimit-1):] {
			delete(all, historyName(old.Version))
		}
		return nil
	})
	if err != nil {
		return Change{}, fmt.Errorf("change %s: %w", c.Key, err)
	}
	return c, nil
}

func historyName(version int64) string { return fmt.Sprintf("%s%09d", historyFolder, version) }

// History implements Backend.
func (f *FileKV) History(ctx context.Context) ([]Change, error) {
	all, err := f.file.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the history of the settings: %w", err)
	}
	return historyIn(all)
}

func historyIn(documents map[string][]byte) ([]Change, error) {
	out := []Change{}
	for name, b := range documents {
		if !strings.HasPrefix(name, historyFolder) {
			continue
		}
		var c Change
		if err := json.Unmarshal(b, &c); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Change) int { return cmp.Compare(b.Version, a.Version) })
	return out, nil
}
