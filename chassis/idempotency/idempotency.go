// Package idempotency makes a command that is sent twice be done once. The caller gives it a key, Idempotency-Key in the metadata of the
// call; the key is claimed by a unique row in the transaction in which the command does its work, and what was answered is kept in that
// row. So there is no moment in which the work is done and the key isn't taken, whoever dies when.
//
//   - A repeat, the same key with the same request, gets the first answer again, and nothing is done.
//   - Another request under the key is refused: FAILED_PRECONDITION IDEMPOTENCY_KEY_REUSED, HTTP 422.
//   - A key whose command still runs is refused: ABORTED IDEMPOTENCY_KEY_IN_USE, HTTP 409. The same call a second later gets the answer.
//
// Kept are responses and definite refusals (INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION): a refused command has
// written nothing, yet its key is used, and a repeat is refused in the same words even when by then it could be done. After any other
// error, such as UNAVAILABLE or ABORTED, nothing is kept: the repeat is the first try.
//
// It is for handlers that do nothing but SQL in data.Tx on their own database, whose transactions become part of the one that holds the
// key. A handler that calls others can't have its work in one transaction: it finds its own row by a natural key, for which [Key] may be
// taken. A request with a secret in it is for neither: of what is kept, the fingerprint is a plain hash.
package idempotency

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	"go-micro.dev/v4/server"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cleavehq/cleave/chassis/data"
)

//go:embed migrations/*.sql
var files embed.FS

// Schema returns the table of the keys, for data.Config.Schemas.
func Schema() data.Schema { return data.Schema{Name: "idempotency", Files: files} }

// Config says which methods of a module are guarded, and where their keys are.
type Config struct {
	// DB is the module's own database, with Schema in it.
	DB *sql.DB
	// Contract is the file that declares the methods.
	Contract protoreflect.FileDescriptor
	// Methods are those to guard, "Catalog.CreateProduct". Each must be unary and declare no idempotency_level: one that may be sent again
	// anyhow needs no key.
	Methods []string
	// Keep is how long an answer is kept, 24 h when 0. After that the key is free again.
	Keep time.Duration
	// Wait is how long a command waits for another process that works under the same key, 2 s when 0. In one process it doesn't wait.
	Wait time.Duration
	// Subject says who calls; two callers' keys are apart. May be nil: then all callers share theirs, so a key has to be random.
	Subject func(ctx context.Context) string
	// Now is the clock.
	Now func() time.Time
}

const (
	defaultKeep = 24 * time.Hour
	defaultWait = 2 * time.Second
)

// Guard guards methods of s, before s starts. A call without a key goes through as if there were no guard.
func Guard(s server.Server, c Config) error {
	w, err := Wrapper(c)
	if err != nil {
		return err
	}
	return s.Init(server.WrapHandler(w))
}

// Wrapper is what Guard gives to the server, for one that isn't made by go-micro's options. It must be the innermost one that writes.
func Wrapper(c Config) (server.HandlerWrapper, error) {
	if c.DB == nil || c.Contract == nil || c.Now == nil {
		return nil, errors.New("idempotency: DB, Contract and Now are needed")
	}
	if c.Keep < 0 || c.Wait < 0 {
		return nil, errors.New("idempotency: Keep and Wait can't be negative")
	}
	if c.Keep == 0 {
		c.Keep = defaultKeep
	}
	if c.Wait == 0 {
		c.Wait = defaultWait
	}
	if c.Subject == nil {
		c.Subject = func(context.Context) string { return "" }
	}
	unsafe := map[string]bool{}
	for _, name := range Unsafe(c.Contract) {
		unsafe[name] = true
	}
	g := &guard{c: c, methods: map[string]bool{}, running: map[claim]bool{}}
	for _, name := range c.Methods {
		if !unsafe[name] {
			return nil, fmt.Errorf("idempotency: %s has no unary method %s without an idempotency_level", c.Contract.Path(), name)
		}
		g.methods[name] = true
	}
	return g.wrap, nil
}

// Unsafe lists the methods of a contract that need a key or a natural one: unary, and without an idempotency_level. A module's test
// compares it with what the module guards.
func Unsafe(contract protoreflect.FileDescriptor) []string {
	var out []string
	for i := range contract.Services().Len() {
		sd := contract.Services().Get(i)
		for j := range sd.Methods().Len() {
			if md := sd.Methods().Get(j); NeedsKey(md) {
				out = append(out, string(sd.Name())+"."+string(md.Name()))
			}
		}
	}
	return out
}

// NeedsKey says whether a method, sent twice, may do its work twice: it is unary and declares no idempotency_level.
func NeedsKey(md protoreflect.MethodDescriptor) bool {
	o, _ := md.Options().(*descriptorpb.MethodOptions)
	return !md.IsStreamingClient() && !md.IsStreamingServer() && o.GetIdempotencyLevel() == descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}
