package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"
)

// registration is what this process wants Consul to hold.
type registration struct {
	service *api.AgentServiceRegistration
	done    bool // Consul took it at some time
}

// Register puts every node of s into Consul, each as an instance with a check. Servers call it again and again: when
// nothing changed and the agent still has the instance that is one small read, and the state of its check is untouched.
// registry.RegisterTTL has no meaning here: Consul checks the instance itself. When Consul cannot be reached the error
// says so, and the registration is made as soon as it can be, until Deregister.
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
		reg, err := encodeNode(s, n, c.conf)
		if err == nil {
			err = c.assert(n.Id, reg)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("register %s in consul: %w", n.Id, err))
		}
	}
	return errors.Join(errs...)
}

// assert makes Consul hold reg.
func (c *Consul) assert(id string, reg *api.AgentServiceRegistration) error {
	c.regMu.Lock()
	defer c.regMu.Unlock()
	old := c.own[id]
	if old == nil || !reflect.DeepEqual(old.service, reg) {
		old = &registration{service: reg}
		c.own[id] = old
	}
	return c.assertLocked(old)
}

func (c *Consul) assertLocked(r *registration) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.conf.Timeout)
	defer cancel()
	if r.done {
		held, err := c.held(ctx, r.service.ID)
		if err != nil || held {
			return err
		}
		c.log.Info("registering again: Consul had lost it", "instance", r.service.ID)
	}
	opts := api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx)
	if err := c.agent().ServiceRegisterOpts(r.service, opts); err != nil {
		return err
	}
	r.done = true
	return nil
}

// held asks the agent whether it still has an instance.
func (c *Consul) held(ctx context.Context, id string) (bool, error) {
	_, _, err := c.agent().Service(id, (&api.QueryOptions{}).WithContext(ctx))
	var status api.StatusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// Deregister removes every node of s. One that is not there is no error.
func (c *Consul) Deregister(s *registry.Service, _ ...registry.DeregisterOption) error {
	c.regMu.Lock()
	defer c.regMu.Unlock()
	var errs []error
	for _, n := range s.Nodes {
		delete(c.own, n.Id)
		// Not c.ctx: a server may deregister while everything else closes.
		ctx, cancel := context.WithTimeout(context.Background(), c.conf.Timeout)
		err := c.agent().ServiceDeregisterOpts(n.Id, (&api.QueryOptions{}).WithContext(ctx))
		cancel()
		var status api.StatusError
		if err != nil && !(errors.As(err, &status) && status.Code == http.StatusNotFound) {
			errs = append(errs, fmt.Errorf("deregister %s from consul: %w", n.Id, err))
		}
	}
	return errors.Join(errs...)
}

// repair registers again what Consul lost while it was away. It runs beside the query that noticed the return.
func (c *Consul) repair() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.goLocked(func(ctx context.Context) {
		c.regMu.Lock()
		ids := make([]string, 0, len(c.own))
		for id := range c.own {
			ids = append(ids, id)
		}
		c.regMu.Unlock()
		for _, id := range ids {
			for try := 1; ctx.Err() == nil; try++ {
				err := c.reassert(id)
				if err == nil {
					break
				}
				c.log.Warn("registering again failed", "instance", id, "error", err)
				if try == 5 {
					break // the server's own repetition takes over
				}
				pause(ctx, firstBackoff<<try)
			}
		}
	})
}

func (c *Consul) reassert(id string) error {
	c.regMu.Lock()
	defer c.regMu.Unlock()
	if r := c.own[id]; r != nil {
		return c.assertLocked(r)
	}
	return nil
}

func (c *Consul) agent() *api.Agent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.client.Agent()
}
