package config

import (
	"encoding"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// leaf is one setting: a field of the struct that holds no further ones.
type leaf struct {
	key    string
	field  reflect.Value
	secret string // "", "true" or "url"
	local  bool   // not read from a store
	live   bool   // changes while a process runs
}

// fileSuffix ends the key that names the file of a secret.
const fileSuffix = "_file"

// names of the setting in the layers.
func (f leaf) flag() string             { return strings.NewReplacer(".", "-", "_", "-").Replace(f.key) }
func (f leaf) env(prefix string) string { return prefix + envName(f.key) }
func (f leaf) path() string             { return strings.ReplaceAll(f.key, ".", "/") }

func envName(key string) string {
	return strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

// pathFlag and pathEnv name the file of a secret.
func (f leaf) pathFlag() string             { return f.flag() + "-file" }
func (f leaf) pathEnv(prefix string) string { return f.env(prefix) + "_FILE" }

// leavesOf lists the settings of a struct. It fails when the struct can't hold settings, or two of them have one name in some layer.
func leavesOf(ptr any) ([]leaf, error) {
	v := reflect.ValueOf(ptr).Elem()
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("settings are a %s, want a struct", v.Type())
	}
	leaves, err := collect(nil, "", v)
	if err != nil {
		return nil, err
	}
	taken := map[string]string{}
	for _, f := range leaves {
		names := []string{envName(f.key)}
		if f.secret != "" {
			names = append(names, envName(f.key)+"_FILE")
		}
		for _, n := range names {
			if other, ok := taken[n]; ok {
				return nil, fmt.Errorf("settings %s and %s have one name in the environment, %s", other, f.key, n)
			}
			taken[n] = f.key
		}
	}
	return leaves, nil
}

func collect(into []leaf, prefix string, v reflect.Value) ([]leaf, error) {
	for i := range v.NumField() {
		t := v.Type().Field(i)
		name := t.Tag.Get("koanf")
		if name == "" || name == "-" {
			continue
		}
		if !t.IsExported() || name != strings.ToLower(name) || strings.ContainsAny(name, "./ \t=") {
			return nil, fmt.Errorf("field %s with the key %q: want an exported field and a lower-case key without dots", t.Name, name)
		}
		f := leaf{key: prefix + name, field: v.Field(i), secret: t.Tag.Get("secret"), local: t.Tag.Get("layers") == "local", live: t.Tag.Get("live") == "true"}
		if t.Type.Kind() == reflect.Struct && !isText(t.Type) {
			var err error
			if into, err = collect(into, f.key+".", f.field); err != nil {
				return nil, err
			}
			continue
		}
		if !supported(t.Type) {
			return nil, fmt.Errorf("setting %s is a %s, which no setting can be", f.key, t.Type)
		}
		if f.secret != "" && (t.Type.Kind() != reflect.String || f.secret != "true" && f.secret != "url") {
			return nil, fmt.Errorf("setting %s: a secret is a string, and its tag \"true\" or \"url\"", f.key)
		}
		into = append(into, f)
	}
	return into, nil
}

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func supported(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice:
		return t.Elem().Kind() != reflect.Slice && supported(t.Elem())
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	default:
		return isText(t)
	}
}

// want says in words what the text of a setting should be.
func want(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 500ms, 5s or 2m"
	case isText(t):
		return "a " + t.String()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list, each " + want(t.Elem())
	case reflect.String:
		return "text"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number from 0, of %d bits", t.Bits())
	default:
		return fmt.Sprintf("a whole number of %d bits", t.Bits())
	}
}

// show returns the value for people, without what is secret.
func (f leaf) show() string {
	switch {
	case f.secret == "":
		if f.field.Kind() == reflect.Slice {
			items := make([]string, f.field.Len())
			for i := range items {
				items[i] = fmt.Sprint(f.field.Index(i).Interface())
			}
			return strings.Join(items, ",")
		}
		return fmt.Sprint(f.field.Interface())
	case f.field.Len() == 0:
		return ""
	case f.secret == "url":
		return hidePassword(f.field.String())
	default:
		return "(secret)"
	}
}

// hidePassword returns a URL without its password and its query, which for some drivers holds one. What isn't a URL with a host,
// such as the word "embedded", is shown when it is a plain word and hidden when it isn't.
func hidePassword(s string) string {
	if !strings.ContainsAny(s, ":@/?= ") {
		return s
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || strings.Contains(u.Host, ",") {
		return "(secret)"
	}
	if u.User != nil {
		if _, has := u.User.Password(); has {
			u.User = url.UserPassword(u.User.Username(), "xxxxx")
		} else { // a token stands alone in NATS's URLs
			u.User = url.User("xxxxx")
		}
	}
	u.RawQuery, u.Fragment, u.RawFragment = "", "", ""
	return u.String()
}
