package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// apply merges the layers, the lowest first, and decodes what they say into target, key by key.
func (l *loader) apply(target any, layers []layer) error {
	var errs []error
	for _, in := range layers {
		said, wrong := l.read(in)
		errs = append(errs, wrong...)
		if err := l.ko.Load(confmap.Provider(said, "."), nil); err != nil {
			errs = append(errs, fmt.Errorf("config: %w", err))
		}
		for key := range said {
			l.sources[key] = in.sources[key]
		}
	}
	leaves, err := leavesOf(target)
	if err != nil {
		return err
	}
	for _, f := range leaves {
		if !l.ko.Exists(f.key) {
			continue
		}
		if err := decode(l.ko, f); err != nil {
			errs = append(errs, &Error{Key: f.key, Source: l.sources[f.key], Problem: err.Error()})
		}
	}
	return errors.Join(errs...)
}

// decode sets the field of one setting. The error shows the text that is wrong, unless it is a secret.
func decode(ko *koanf.Koanf, f leaf) error {
	raw := ko.Get(f.key)
	if text, ok := raw.(string); ok && f.field.Kind() == reflect.Slice {
		raw = split(text)
	}
	if _, list := raw.([]any); list && f.field.Kind() != reflect.Slice {
		return fmt.Errorf("a list where %s is wanted", want(f.field.Type()))
	}
	into := reflect.New(f.field.Type())
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: into.Interface(),
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.TextUnmarshallerHookFunc(),
			mapstructure.StringToTimeDurationHookFunc(),
			mapstructure.StringToBasicTypeHookFunc(),
		),
	})
	if err != nil {
		return err
	}
	if err := d.Decode(raw); err != nil {
		if f.secret != "" {
			return fmt.Errorf("want %s", want(f.field.Type()))
		}
		return fmt.Errorf("%s: want %s", quote(raw), want(f.field.Type()))
	}
	f.field.Set(into.Elem())
	return nil
}

// split takes a list apart at its commas. Nothing is a list of nothing.
func split(text string) []any {
	out := []any{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

func quote(raw any) string {
	if list, ok := raw.([]any); ok {
		items := make([]string, len(list))
		for i, v := range list {
			items[i] = fmt.Sprintf("%q", v)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprintf("%q", raw)
}
