package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"go.yaml.in/yaml/v3"
)

const (
	maxFile   = 1 << 20
	maxSecret = 64 << 10
)

// readFile reads the YAML file at path; none when path is empty.
func readFile(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	b, err := readAtMost(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return b, nil
}

// parse reads YAML. Every mistake is reported, with its line.
func (l *loader) parse(name string, b []byte) (layer, error) {
	p := &parser{name: name, keys: map[string]bool{}, said: map[string]any{}, sources: map[string]Source{}}
	for _, f := range l.leaves {
		for i, r := range f.key { // what leads to a setting is a mapping
			if r == '.' {
				p.keys[f.key[:i]] = false
			}
		}
		p.keys[f.key] = true
		if f.secret != "" {
			p.keys[f.key+fileSuffix] = true
		}
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF): // nothing but comments
	case err != nil:
		p.errs = append(p.errs, fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: ")))
	default:
		p.mapping("", doc.Content[0])
		var more yaml.Node
		if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
			p.errs = append(p.errs, fmt.Errorf("%s: more than one YAML document", name))
		}
	}
	return layer{provider: confmap.Provider(p.said, ""), sources: p.sources}, errors.Join(p.errs...)
}

// parser walks over YAML nodes. It keeps the text of scalars, so that a value means what it means in the other layers.
type parser struct {
	name    string
	keys    map[string]bool // true for a setting, false for a mapping that leads to some
	said    map[string]any
	sources map[string]Source
	errs    []error
}

func (p *parser) wrongf(line int, key, format string, args ...any) {
	p.errs = append(p.errs, &Error{Key: key, Source: Source{File, p.name, line}, Problem: fmt.Sprintf(format, args...)})
}

func (p *parser) mapping(prefix string, n *yaml.Node) {
	n = target(n)
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		p.wrongf(n.Line, strings.TrimSuffix(prefix, "."), "want keys and values here")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := prefix + name.Value
		if name.Kind != yaml.ScalarNode || strings.Contains(name.Value, ".") {
			p.wrongf(name.Line, "", "%q: want the name of a setting, without dots: nest the mappings instead", name.Value)
			continue
		}
		if line, twice := seen[key]; twice {
			p.wrongf(name.Line, key, "given in line %d already", line)
			continue
		}
		seen[key] = name.Line
		switch isLeaf, known := p.keys[key]; {
		case !known:
			p.wrongf(name.Line, key, "no such setting%s", p.near(key))
		case isLeaf:
			p.value(key, name.Line, target(value))
		default:
			p.mapping(key+".", value)
		}
	}
}

func (p *parser) value(key string, line int, n *yaml.Node) {
	switch {
	case isNull(n): // "token:" with nothing behind it sets nothing
		return
	case n.Kind == yaml.ScalarNode:
		p.said[key] = n.Value
	case n.Kind == yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			if item = target(item); item.Kind != yaml.ScalarNode || isNull(item) {
				p.wrongf(item.Line, key, "want a list of plain values")
				return
			}
			list = append(list, item.Value)
		}
		p.said[key] = list
	default:
		p.wrongf(line, key, "want a value, not keys and values")
		return
	}
	p.sources[key] = Source{Layer: File, Name: p.name, Line: line}
}

// near names the setting that key may have been meant to be.
func (p *parser) near(key string) string {
	const far = 3
	best, least := "", far
	for known := range p.keys {
		if d := distance(key, known, far); d < least || d == least && d < far && known < best {
			best, least = known, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// target follows an alias.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// readSecret reads the file of a secret, without the line end that an editor adds.
func readSecret(path string) (string, error) {
	b, err := readAtMost(path, maxSecret)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the file that the user names
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return b, err
}
