package provider

import "log/slog"

// Token stands for a card at the provider. It is as good as money: nothing prints it, logs it or stores it. Conversion to a
// string is the one way to read it.
type Token string

const hidden = "tok_***"

// String hides the token.
func (Token) String() string { return hidden }

// GoString hides the token.
func (Token) GoString() string { return hidden }

// LogValue hides the token.
func (Token) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the token.
func (Token) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Secret is a key of the shop at its provider: nothing prints it, logs it or stores it. Conversion to a string is the one way to
// read it.
type Secret string

const secret = "***"

// String hides the secret.
func (Secret) String() string { return secret }

// GoString hides the secret.
func (Secret) GoString() string { return secret }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(secret) }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(secret), nil }
