package telemetry

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
)

// maxModules bounds what is remembered of names that somebody sends.
const (
	maxModules    = 256
	maxModuleName = 64
)

// ModuleKey is the attribute by which a logger says whose it is: log.With(ModuleKey, "order").
const ModuleKey = "module"

// Levels are what each module logs at least. They may change at any time, and are safe for concurrent use.
type Levels struct {
	mu  sync.Mutex
	now atomic.Pointer[levels]
}

type levels struct {
	all slog.Level
	of  map[string]slog.Level
}

// NewLevels has one level for all.
func NewLevels(all slog.Level) *Levels {
	l := &Levels{}
	l.now.Store(&levels{all: all})
	return l
}

// Set changes the level of a module; of all that have none of their own when module is empty. It fails for a name that is too long, or when
// 256 modules have levels already.
func (l *Levels) Set(module string, level slog.Level) error {
	return l.change(func(next *levels) error {
		if module == "" {
			next.all = level
			return nil
		}
		next.of[module] = level
		return CheckLevels(next.of)
	})
}

// CheckLevels says why Replace would refuse: a name that is too long, or more than 256 modules.
func CheckLevels(of map[string]slog.Level) error {
	if len(of) > maxModules {
		return fmt.Errorf("telemetry: levels for %d modules, of at most %d", len(of), maxModules)
	}
	for module := range of {
		if len(module) > maxModuleName {
			return fmt.Errorf("telemetry: a module's name has at most %d bytes", maxModuleName)
		}
	}
	return nil
}

// Replace changes all levels at once: of all modules, and of those that have one of their own. The error is CheckLevels'.
func (l *Levels) Replace(all slog.Level, of map[string]slog.Level) error {
	if err := CheckLevels(of); err != nil {
		return err
	}
	return l.change(func(next *levels) error {
		next.all = all
		clear(next.of)
		maps.Copy(next.of, of)
		return nil
	})
}

// Reset gives a module the level of all again.
func (l *Levels) Reset(module string) {
	_ = l.change(func(next *levels) error { // it can't fail
		delete(next.of, module)
		return nil
	})
}

func (l *Levels) change(f func(next *levels) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now.Load()
	next := &levels{all: now.all, of: maps.Clone(now.of)}
	if next.of == nil {
		next.of = map[string]slog.Level{}
	}
	if err := f(next); err != nil {
		return err
	}
	l.now.Store(next)
	return nil
}

// Of is the level of a module.
func (l *Levels) Of(module string) slog.Level {
	now := l.now.Load()
	if module != "" && len(now.of) > 0 {
		if level, ok := now.of[module]; ok {
			return level
		}
	}
	return now.all
}

// LevelsJSON is what the page GET /log-level shows.
type LevelsJSON struct {
	All     string            `json:"level"`
	Modules map[string]string `json:"modules"`
}

// LevelJSON is what PUT /log-level takes: an empty module means all, an empty level gives a module the one of all again.
type LevelJSON struct {
	Module string `json:"module"`
	Level  string `json:"level"`
}

// ServeHTTP is the page GET|PUT /log-level.
func (l *Levels) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		var in LevelJSON
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			http.Error(w, `the body is no JSON such as {"module":"order","level":"debug"}`, http.StatusBadRequest)
			return
		}
		if err := l.put(in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	now := l.now.Load()
	out := LevelsJSON{All: now.all.String(), Modules: map[string]string{}}
	for m, level := range now.of {
		out.Modules[m] = level.String()
	}
	answer(w, out)
}

func (l *Levels) put(in LevelJSON) error {
	if in.Level == "" && in.Module != "" {
		l.Reset(in.Module)
		return nil
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(in.Level)); err != nil {
		return fmt.Errorf("level %.20q is none of debug, info, warn, error", in.Level)
	}
	return l.Set(in.Module, level)
}
