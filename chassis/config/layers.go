package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// layer is what one place says: text, or a list of texts, by key. A secret's file is there under its own key.
type layer struct {
	provider koanf.Provider
	sources  map[string]Source
}

// loader puts layers together.
type loader struct {
	leaves  []leaf
	ko      *koanf.Koanf
	sources map[string]Source
	unknown []string
}

// env reads the variables that begin with prefix.
func (l *loader) env(prefix string, environ []string) layer {
	out := layer{sources: map[string]Source{}}
	if prefix == "" {
		out.provider = confmap.Provider(nil, "")
		return out
	}
	keys := map[string]string{}
	for _, f := range l.leaves {
		keys[f.env(prefix)] = f.key
		if f.secret != "" {
			keys[f.pathEnv(prefix)] = f.key + fileSuffix
		}
	}
	out.provider = env.Provider("", env.Opt{
		Prefix:      prefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key, ok := keys[name]
			if !ok {
				return "", nil
			}
			return key, value
		},
	})
	for _, pair := range environ {
		name, _, ok := strings.Cut(pair, "=")
		if !ok || !strings.HasPrefix(name, prefix) {
			continue
		}
		if key, known := keys[name]; known {
			out.sources[key] = Source{Layer: Env, Name: name}
		} else {
			l.leave(name)
		}
	}
	return out
}

// flags reads the flags that were given.
func (l *loader) flags(fs *pflag.FlagSet) layer {
	out := layer{sources: map[string]Source{}}
	if fs == nil {
		out.provider = confmap.Provider(nil, "")
		return out
	}
	keys := map[string]string{}
	for _, f := range l.leaves {
		keys[f.flag()] = f.key
		if f.secret != "" {
			keys[f.pathFlag()] = f.key + fileSuffix
		}
	}
	out.provider = posflag.ProviderWithFlag(fs, "", nil, func(f *pflag.Flag) (string, any) {
		key, ok := keys[f.Name]
		if !ok || !f.Changed {
			return "", nil
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			return key, anys(list.GetSlice())
		}
		return key, f.Value.String()
	})
	fs.Visit(func(f *pflag.Flag) {
		if key, ok := keys[f.Name]; ok {
			out.sources[key] = Source{Layer: Flag, Name: "--" + f.Name}
		}
	})
	return out
}

// store takes what the store holds.
func (l *loader) store(values map[string]string, where func(string) string) layer {
	out := layer{sources: map[string]Source{}}
	keys := map[string]string{}
	for _, f := range l.leaves {
		if !f.local {
			keys[f.path()] = f.key
		}
	}
	m := map[string]any{}
	for path, text := range values {
		key, ok := keys[path]
		if !ok {
			l.leave(where(path))
			continue
		}
		m[key] = text
		out.sources[key] = Source{Layer: Store, Name: where(path)}
	}
	out.provider = confmap.Provider(m, "")
	return out
}

// leave notes a name that is no setting.
func (l *loader) leave(name string) {
	if i, there := slices.BinarySearch(l.unknown, name); !there {
		l.unknown = slices.Insert(l.unknown, i, name)
	}
}

// read returns what a layer says, with secrets read from their files. A secret given both ways is a mistake.
func (l *loader) read(in layer) (map[string]any, []error) {
	raw := koanf.New("\x00") // keys are flat here: no delimiter splits them
	if err := raw.Load(in.provider, nil); err != nil {
		return nil, []error{fmt.Errorf("config: %w", err)}
	}
	said := raw.Raw()
	var errs []error
	for _, f := range l.leaves {
		path, ok := said[f.key+fileSuffix]
		if !ok || f.secret == "" {
			continue
		}
		delete(said, f.key+fileSuffix)
		src := in.sources[f.key+fileSuffix]
		if _, both := said[f.key]; both {
			errs = append(errs, &Error{Key: f.key, Source: src, Problem: "the value is given by " + in.sources[f.key].String() + " too; give one of them"})
			continue
		}
		text, err := readSecret(fmt.Sprint(path))
		if err != nil {
			errs = append(errs, &Error{Key: f.key, Source: src, Problem: "read the secret's file: " + err.Error(), cause: err})
			continue
		}
		said[f.key] = text
		in.sources[f.key] = src
	}
	return said, errs
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
