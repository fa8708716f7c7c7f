package acl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// Config says for whom, and where.
type Config struct {
	// Client of Consul. Its token is used when it may manage ACLs, and there is none in Dir.
	Client *api.Client
	// Dir is the folder of the tokens.
	Dir     string
	Parties Parties
	Log     *slog.Logger
}

const (
	settleTime  = 15 * time.Second // of a Consul that has just started, until it knows of ACLs
	settleAgain = 200 * time.Millisecond
)

type bootstrap struct {
	Config
	token string // that may manage; "" without ACLs, or when it is the client's own
}

// Bootstrap makes what is missing. It may be run again, and by several at once; what operators have added stays.
func Bootstrap(ctx context.Context, c Config) error {
	b := &bootstrap{Config: c}
	on, err := b.manager(ctx)
	if err != nil {
		return err
	}
	if on {
		if err := b.policies(ctx); err != nil {
			return err
		}
		if err := b.tokens(ctx); err != nil {
			return err
		}
	} else {
		c.Log.WarnContext(ctx, "Consul has no ACLs: whoever reaches it may have any certificate, and change any intention")
	}
	return b.intentions(ctx)
}

func (b *bootstrap) read(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{Token: b.token, RequireConsistent: true}).WithContext(ctx)
}

func (b *bootstrap) write(ctx context.Context) *api.WriteOptions {
	return (&api.WriteOptions{Token: b.token}).WithContext(ctx)
}

// manager finds the token that may manage, or makes Consul's first. It says whether Consul has ACLs.
func (b *bootstrap) manager(ctx context.Context) (on bool, err error) {
	path := filepath.Join(b.Dir, Management)
	if text, err := os.ReadFile(path); err == nil { //nolint:gosec // the operator names it
		b.token = strings.TrimSpace(string(text))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("read the token: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		_, _, err := b.Client.ACL().TokenList(b.read(ctx))
		switch {
		case err == nil:
			return true, nil
		case strings.Contains(err.Error(), "ACL support disabled"):
			b.token = ""
			return false, nil
		}
		if code(err) == http.StatusForbidden || code(err) == http.StatusNotFound {
			b.token = ""
			first, _, ferr := b.Client.ACL().Bootstrap()
			if ferr == nil {
				b.token = first.SecretID
				b.Log.InfoContext(ctx, "made Consul's first token, which may do everything", "file", path)
				return true, b.keep(Management, first.SecretID)
			}
			if code(ferr) == http.StatusForbidden {
				return true, fmt.Errorf("the ACLs of Consul were set up before, and there is no token that may manage them: %w", err)
			}
			err = ferr
		}
		t := time.NewTimer(settleAgain) // it has no leader yet, or doesn't know of ACLs
		select {
		case <-ctx.Done():
			t.Stop()
			return false, fmt.Errorf("ask Consul for its ACLs: %w", err)
		case <-t.C:
		}
	}
}

func code(err error) int {
	var s api.StatusError
	if errors.As(err, &s) {
		return s.Code
	}
	return 0
}

// keep writes a token into a file of its owner's.
func (b *bootstrap) keep(name, secret string) error {
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		return fmt.Errorf("keep a token: %w", err)
	}
	if err := os.WriteFile(filepath.Join(b.Dir, name), []byte(secret+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep a token: %w", err)
	}
	return nil
}

func (b *bootstrap) policies(ctx context.Context) error {
	all := Policies(b.Parties)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		want := &api.ACLPolicy{Name: policyName(name), Description: "What " + name + " needs, and no more", Rules: all[name]}
		have, _, err := b.Client.ACL().PolicyReadByName(want.Name, b.read(ctx))
		switch {
		case err != nil && code(err) != http.StatusNotFound:
		case have == nil:
			_, _, err = b.Client.ACL().PolicyCreate(want, b.write(ctx))
		case have.Rules == want.Rules:
			continue
		default:
			want.ID = have.ID
			_, _, err = b.Client.ACL().PolicyUpdate(want, b.write(ctx))
		}
		if err != nil {
			return fmt.Errorf("make the policy %s: %w", want.Name, err)
		}
	}
	return nil
}

func (b *bootstrap) tokens(ctx context.Context) error {
	all := tokens(b.Parties)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		secret, err := b.tokenOf(ctx, name, all[name])
		if err != nil {
			return fmt.Errorf("make the token of %s: %w", name, err)
		}
		if name != Agent {
			continue
		}
		// The agent needs it to tell the servers of its node. With acl.enable_token_persistence it remembers it.
		if _, err := b.Client.Agent().UpdateAgentACLToken(secret, b.write(ctx)); err != nil {
			return fmt.Errorf("give the agent its token: %w", err)
		}
	}
	return nil
}

// tokenOf returns the token in the file when it is good, and else makes one.
func (b *bootstrap) tokenOf(ctx context.Context, name string, policies []string) (string, error) {
	var links []*api.ACLTokenPolicyLink
	for _, p := range policies {
		links = append(links, &api.ACLTokenPolicyLink{Name: policyName(p)})
	}
	path := filepath.Join(b.Dir, name)
	text, err := os.ReadFile(path) //nolint:gosec // in the folder that the operator names
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if secret := strings.TrimSpace(string(text)); secret != "" {
		have, _, err := b.Client.ACL().TokenReadSelf((&api.QueryOptions{Token: secret}).WithContext(ctx))
		if err == nil && !same(have.Policies, links) {
			have.Policies = links
			_, _, err = b.Client.ACL().TokenUpdate(have, b.write(ctx))
		}
		if err == nil {
			return secret, nil
		}
		if c := code(err); c != http.StatusForbidden && c != http.StatusNotFound {
			return "", err
		}
	}
	made, _, err := b.Client.ACL().TokenCreate(&api.ACLToken{Description: policyName(name), Policies: links}, b.write(ctx))
	if err != nil {
		return "", err
	}
	return made.SecretID, b.keep(name, made.SecretID)
}

func same(a, b []*api.ACLTokenPolicyLink) bool {
	names := func(list []*api.ACLTokenPolicyLink) (out []string) {
		for _, l := range list {
			out = append(out, l.Name)
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(names(a), names(b))
}

// intentions allows the calls that modules make. What is said of a pair already stays, also a denial.
func (b *bootstrap) intentions(ctx context.Context) error {
	all := callers(b.Parties)
	for _, module := range slices.Sorted(maps.Keys(all)) {
		for {
			ok, err := b.allow(ctx, module, all[module])
			if err != nil {
				return fmt.Errorf("make the intentions of %s: %w", module, err)
			}
			if ok {
				break // else another has changed them at the same time
			}
		}
	}
	return nil
}

func (b *bootstrap) allow(ctx context.Context, module string, sources []string) (bool, error) {
	entry := &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: module}
	have, _, err := b.Client.ConfigEntries().Get(api.ServiceIntentions, module, b.read(ctx))
	if err != nil && code(err) != http.StatusNotFound {
		return false, err
	}
	if in, ok := have.(*api.ServiceIntentionsConfigEntry); ok {
		entry = in
	}
	missing := false
	for _, s := range sources {
		if slices.ContainsFunc(entry.Sources, func(i *api.SourceIntention) bool { return i.Name == s }) {
			continue
		}
		missing = true
		entry.Sources = append(entry.Sources, &api.SourceIntention{Name: s, Action: api.IntentionActionAllow})
	}
	if !missing {
		return true, nil
	}
	ok, _, err := b.Client.ConfigEntries().CAS(entry, entry.ModifyIndex, b.write(ctx))
	return ok, err
}
