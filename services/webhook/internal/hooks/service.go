package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cleavehq/cleave/chassis/hook"
	"github.com/cleavehq/cleave/chassis/page"
	"github.com/cleavehq/cleave/chassis/problem"
)

// Config is what a Service needs; all of it.
type Config struct {
	Store  Store
	Sender Sender
	// Now is the clock.
	Now func() time.Time
	// NewID makes a UUIDv7.
	NewID func() (string, error)
}

// Service keeps the endpoints. It is safe for concurrent use. Its errors are coded ones of chassis/problem with the reasons of this package;
// any other error is an internal one, and nothing was changed.
type Service struct{ cfg Config }

// New makes a Service. It fails when something is missing in c.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Sender == nil || c.Now == nil || c.NewID == nil {
		return nil, errors.New("webhook: Store, Sender, Now and NewID are all needed")
	}
	return &Service{cfg: c}, nil
}

// Create makes an endpoint, and a secret that is not shown again. URL_FORBIDDEN, UNKNOWN_EVENT_TYPE, TOO_MANY_ENDPOINTS.
func (s *Service) Create(ctx context.Context, url string, types []string, description string) (Endpoint, hook.Secret, error) {
	types, err := s.check(url, types)
	if err != nil {
		return Endpoint{}, hook.Secret{}, err
	}
	id, err := s.cfg.NewID()
	if err != nil {
		return Endpoint{}, hook.Secret{}, fmt.Errorf("make an endpoint id: %w", err)
	}
	at := s.time()
	e := Endpoint{ID: id, URL: url, Types: types, Description: description, Created: at, Updated: at}
	secret := hook.NewSecret()
	ok, err := s.cfg.Store.Add(ctx, e, secret, MaxEndpoints)
	if err != nil {
		return Endpoint{}, hook.Secret{}, fmt.Errorf("create an endpoint: %w", err)
	}
	if !ok {
		return Endpoint{}, hook.Secret{}, problem.FailedPrecondition(ReasonTooManyEndpoints, "there are %d endpoints, which is the limit", MaxEndpoints)
	}
	return e, secret, nil
}

// Get returns an endpoint; ENDPOINT_NOT_FOUND.
func (s *Service) Get(ctx context.Context, id string) (Endpoint, error) {
	e, ok, err := s.cfg.Store.Endpoint(ctx, id)
	return found(e, ok, id, "get an endpoint", err)
}

// Update replaces what is said of an endpoint. URL_FORBIDDEN, UNKNOWN_EVENT_TYPE, ENDPOINT_NOT_FOUND.
func (s *Service) Update(ctx context.Context, e Endpoint) (Endpoint, error) {
	var err error
	if e.Types, err = s.check(e.URL, e.Types); err != nil {
		return Endpoint{}, err
	}
	e.Updated = s.time()
	now, ok, err := s.cfg.Store.Change(ctx, e)
	return found(now, ok, e.ID, "update an endpoint", err)
}

// Delete deletes an endpoint with all that belongs to it; ENDPOINT_NOT_FOUND.
func (s *Service) Delete(ctx context.Context, id string) error {
	ok, err := s.cfg.Store.Delete(ctx, id)
	_, err = found(Endpoint{}, ok, id, "delete an endpoint", err)
	return err
}

// Rotate makes a new secret, which is not shown again. What signed until now signs for overlap longer. ENDPOINT_NOT_FOUND, TOO_MANY_SECRETS.
func (s *Service) Rotate(ctx context.Context, id string, overlap time.Duration) (Endpoint, hook.Secret, error) {
	now, secret := s.time(), hook.NewSecret()
	overlap = min(max(overlap, 0), MaxOverlap)
	e, ok, enough, err := s.cfg.Store.Rotate(ctx, Rotation{EndpointID: id, Secret: secret, Now: now, Until: now.Add(overlap), Most: MaxSecrets})
	if err == nil && enough {
		return Endpoint{}, hook.Secret{}, problem.FailedPrecondition(ReasonTooManySecrets,
			"%d secrets of endpoint %s sign already: wait until one is forgotten, or rotate with an overlap of 0", MaxSecrets, id)
	}
	e, err = found(e, ok, id, "rotate a secret", err)
	if err != nil {
		return Endpoint{}, hook.Secret{}, err
	}
	return e, secret, nil
}

// Replay sends a delivery again, whatever became of it. DELIVERY_NOT_FOUND, ENDPOINT_DISABLED.
func (s *Service) Replay(ctx context.Context, id string) (Delivery, error) {
	d, ok, disabled, err := s.cfg.Store.Replay(ctx, id, s.time())
	switch {
	case err != nil:
		return Delivery{}, fmt.Errorf("replay a delivery: %w", err)
	case !ok:
		return Delivery{}, problem.NotFound(ReasonDeliveryNotFound, "no delivery %s", id)
	case disabled:
		return Delivery{}, problem.FailedPrecondition(ReasonDisabled, "endpoint %s is disabled", d.EndpointID)
	}
	return d, nil
}

// ReplayDead sends again what an endpoint didn't take since a time, and counts it. ENDPOINT_NOT_FOUND, ENDPOINT_DISABLED.
func (s *Service) ReplayDead(ctx context.Context, id string, since time.Time) (int64, error) {
	e, err := s.Get(ctx, id)
	if err != nil {
		return 0, err
	}
	if e.Disabled {
		return 0, problem.FailedPrecondition(ReasonDisabled, "endpoint %s is disabled", id)
	}
	n, err := s.cfg.Store.ReplayDead(ctx, id, since, s.time())
	if err != nil {
		return 0, fmt.Errorf("replay an endpoint: %w", err)
	}
	return n, nil
}

// List returns a page of endpoints, the newest first, and the token of the next page; empty on the last one. size is 50 when 0.
// PAGE_TOKEN_INVALID when the token isn't one of ours.
func (s *Service) List(ctx context.Context, size int, token string) ([]Endpoint, string, error) {
	list := page.Of("webhook endpoints")
	before, err := cursor(list.Parse(token, 2))
	if err != nil {
		return nil, "", err
	}
	size = page.Size(size)
	all, err := s.cfg.Store.Endpoints(ctx, before, size+1) // one more, to see whether there is a next page
	if err != nil {
		return nil, "", fmt.Errorf("list endpoints: %w", err)
	}
	if len(all) <= size {
		return all, "", nil
	}
	return all[:size], list.Token(keys(all[size-1].Created, all[size-1].ID)...), nil
}

// Deliveries is List for the deliveries to an endpoint; of a state unless it is empty. ENDPOINT_NOT_FOUND.
func (s *Service) Deliveries(ctx context.Context, endpointID string, only State, size int, token string) ([]Delivery, string, error) {
	list := page.Of("webhook deliveries", endpointID, string(only))
	before, err := cursor(list.Parse(token, 2))
	if err != nil {
		return nil, "", err
	}
	if _, err := s.Get(ctx, endpointID); err != nil {
		return nil, "", err
	}
	size = page.Size(size)
	all, err := s.cfg.Store.Deliveries(ctx, endpointID, only, before, size+1)
	if err != nil {
		return nil, "", fmt.Errorf("list deliveries: %w", err)
	}
	if len(all) <= size {
		return all, "", nil
	}
	return all[:size], list.Token(keys(all[size-1].Created, all[size-1].ID)...), nil
}

// check checks a URL, and sorts the types.
func (s *Service) check(url string, types []string) ([]string, error) {
	if err := s.cfg.Sender.Check(url); err != nil {
		return nil, problem.InvalidArgument(ReasonURLForbidden, "this url can't be an endpoint: %v", err)
	}
	for _, t := range types {
		if !known(t) {
			return nil, problem.InvalidArgument(ReasonUnknownType, "there are no events of type %q", t)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(types))), nil
}

func found(e Endpoint, ok bool, id, what string, err error) (Endpoint, error) {
	if err != nil {
		return Endpoint{}, fmt.Errorf("%s: %w", what, err)
	}
	if !ok {
		return Endpoint{}, notFound(id)
	}
	return e, nil
}

func (s *Service) time() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// keys are what a page token is made of.
func keys(created time.Time, id string) []string {
	return []string{strconv.FormatInt(created.UnixMicro(), 10), id}
}

// cursor is the inverse of keys; the zero one of none.
func cursor(keys []string, err error) (Cursor, error) {
	if err != nil || len(keys) == 0 {
		return Cursor{}, err
	}
	micros, err := strconv.ParseInt(keys[0], 10, 64)
	if err != nil || uuid.Validate(keys[1]) != nil {
		return Cursor{}, page.Invalid()
	}
	return Cursor{Created: time.UnixMicro(micros).UTC(), ID: keys[1]}, nil
}
