package config

import (
	"fmt"
	"strings"
)

// Layer is one of the places that settings come from; a later one overrides an earlier one.
type Layer int

// The layers, from the bottom to the top.
const (
	Default Layer = iota
	Store
	File
	Env
	Flag
)

// String names the layer.
func (l Layer) String() string {
	switch l {
	case Store:
		return "store"
	case File:
		return "file"
	case Env:
		return "environment"
	case Flag:
		return "flag"
	default:
		return "default"
	}
}

// Source is where a setting came from.
type Source struct {
	Layer Layer
	// Name of the flag, the variable, the file or the key in the store; empty for a default.
	Name string
	// Line of the file, from 1; else 0.
	Line int
}

// String says it in words: "cleave.yaml:3", "CLEAVE_REGISTRY", "--registry", "default".
func (s Source) String() string {
	switch {
	case s.Layer == Default:
		return "default"
	case s.Line > 0:
		return fmt.Sprintf("%s:%d", s.Name, s.Line)
	default:
		return s.Name
	}
}

// Error is a mistake in one setting. Its text never holds a secret.
type Error struct {
	// Key of the setting, such as "consul.addr".
	Key string
	// Source of the value.
	Source Source
	// Problem says what is wrong, and what would be right.
	Problem string

	cause error
}

// Invalid makes the Error of a Validate method.
func Invalid(key, format string, args ...any) *Error {
	return &Error{Key: key, Problem: fmt.Sprintf(format, args...)}
}

// Error says where, which setting, and what is wrong with it.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Source.Layer != Default {
		b.WriteString(e.Source.String() + ": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Problem)
	return b.String()
}

// Unwrap returns what caused it, such as the error of reading a secret's file, or nil.
func (e *Error) Unwrap() error { return e.cause }
