package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"
)

// registration is what this process wants Consul to hold of one instance. Its lock is held over the conversation with
// Consul, so that no repair brings back what Deregister removed, and a slow one holds up no other instance.
type registration struct {
	mu   sync.Mutex
	want *api.AgentServiceRegistration // nil: nothing, it was deregistered
	done bool                          // Consul took it at some time
}

// Register puts every node of s into Consul, each as an instance with a check. Servers call it again and again: when
// nothing changed and the agent still has the instance that is one small read, and the state of its check is untouched.
// registry.RegisterTTL has no meaning here: Consul checks the instance itself. When Consul cannot be reached the error
// says so, and the registration is made as soon as it can be, until Deregister.
//
// What Consul removed because its check failed for too long comes back as failing, and passes when its check does.
func (c *Consul) Register(s *registry.Service, _ ...registry.RegisterOption) error {
	if len(s.Nodes) == 0 {
		return fmt.Errorf("register %s in consul: it has no nodes", s.Name)
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return fmt.Errorf("register %s in consul: %w", s.Name, errClosed)
	}
	c.startLocked() // it notices Consul's return
	c.mu.Unlock()

	var errs []error
	for _, n := range s.Nodes {
		want, err := encodeNode(s, n, c.conf)
		if err == nil {
			err = c.register(n.Id, want)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("register %s in consul: %w", n.Id, err))
		}
	}
	return errors.Join(errs...)
}

func (c *Consul) register(id string, want *api.AgentServiceRegistration) error {
	c.mu.Lock()
	r := c.own[id]
	if r == nil {
		r = &registration{}
		c.own[id] = r
	}
	c.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !reflect.DeepEqual(r.want, want) {
		r.want, r.done = want, false
	}
	return c.assertLocked(r, api.HealthCritical)
}

// assertLocked makes Consul hold r. What it had and lost gets status until its check has run.
func (c *Consul) assertLocked(r *registration, status string) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.conf.Timeout)
	defer cancel()
	want := r.want
	if r.done {
		held, err := c.held(ctx, want.ID)
		if err != nil || held {
			return err
		}
		c.log.Info("registering again: Consul had lost it", "instance", want.ID)
		want = withStatus(want, status)
	}
	opts := api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx)
	if err := c.agent().ServiceRegisterOpts(want, opts); err != nil {
		return err
	}
	r.done = true
	return nil
}

// withStatus copies r with another first status of its check.
func withStatus(r *api.AgentServiceRegistration, status string) *api.AgentServiceRegistration {
	if r.Check == nil {
		return r
	}
	out, check := *r, *r.Check
	check.Status = status
	out.Check = &check
	return &out
}

// held asks the agent whether it still has an instance.
func (c *Consul) held(ctx context.Context, id string) (bool, error) {
	_, _, err := c.agent().Service(id, (&api.QueryOptions{}).WithContext(ctx))
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

func isNotFound(err error) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == http.StatusNotFound
}

// Deregister removes every node of s. One that is not there is no error. It works after Close too: a server may
// deregister while everything else ends.
func (c *Consul) Deregister(s *registry.Service, _ ...registry.DeregisterOption) error {
	var errs []error
	for _, n := range s.Nodes {
		if err := c.deregister(n.Id); err != nil && !isNotFound(err) {
			errs = append(errs, fmt.Errorf("deregister %s from consul: %w", n.Id, err))
		}
	}
	return errors.Join(errs...)
}

func (c *Consul) deregister(id string) error {
	c.mu.Lock()
	r := c.own[id]
	delete(c.own, id)
	c.mu.Unlock()
	if r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.want = nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.conf.Timeout)
	defer cancel()
	return c.agent().ServiceDeregisterOpts(id, (&api.QueryOptions{}).WithContext(ctx))
}

// repair registers again what Consul lost while it was away, as passing: nothing says that it does not. It runs beside
// the query that noticed the return.
func (c *Consul) repair() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, r := range c.own {
		c.goLocked(func(ctx context.Context) {
			for try := 1; ctx.Err() == nil; try++ {
				err := c.reassert(r)
				if err == nil {
					return
				}
				c.log.WarnContext(ctx, "registering again failed", "instance", id, "error", err)
				if try == 5 {
					return // the server's own repetition takes over
				}
				pause(ctx, firstBackoff<<try)
			}
		})
	}
}

func (c *Consul) reassert(r *registration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.want == nil {
		return nil
	}
	return c.assertLocked(r, api.HealthPassing)
}

func (c *Consul) agent() *api.Agent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.client.Agent()
}
