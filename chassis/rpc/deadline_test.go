package rpc

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestAPatientContextIsAContext(t *testing.T) {
	type key struct{}
	parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	at := time.Now().Add(time.Hour)
	p := withDeadline(parent, at)
	if d, ok := p.Deadline(); !ok || !d.Equal(at) || p.Value(key{}) != "value" || p.Err() != nil || p.inner.Load() != nil {
		t.Errorf("deadline %v, value %v, error %v", d, p.Value(key{}), p.Err())
	}
	child, cancelChild := context.WithCancel(p)
	defer cancelChild()
	if p.inner.Load() == nil || child.Value(key{}) != "value" {
		t.Error("a child isn't tied to it")
	}
	cancel()
	<-child.Done()
	<-p.Done()
	if !errors.Is(p.Err(), context.Canceled) {
		t.Errorf("after its parent it ended with %v", p.Err())
	}

	p = withDeadline(t.Context(), time.Now())
	if !errors.Is(p.Err(), context.DeadlineExceeded) {
		t.Errorf("late, it ended with %v", p.Err())
	}
	<-p.Done()
	if !errors.Is(p.Err(), context.DeadlineExceeded) {
		t.Errorf("late, it ended with %v", p.Err())
	}

	p = withDeadline(t.Context(), at)
	p.end()
	if !errors.Is(p.Err(), context.Canceled) {
		t.Errorf("at its end it ended with %v", p.Err())
	}
	<-p.Done()

	sooner, cancelSooner := context.WithDeadline(t.Context(), at.Add(-time.Minute))
	defer cancelSooner()
	if d, _ := withDeadline(sooner, at).Deadline(); !d.Equal(at.Add(-time.Minute)) {
		t.Errorf("its deadline %v is after its parent's", d)
	}
}
