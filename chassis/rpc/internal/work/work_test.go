package work

import (
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type task func()

func (t task) Run() { t() }

func TestEveryTaskRunsAtOnce(t *testing.T) {
	var p Pool
	const n = 2 * maxIdle
	for range 3 {
		var together, done sync.WaitGroup
		together.Add(n)
		done.Add(n)
		for range n {
			p.Run(task(func() {
				together.Done()
				together.Wait() // none waits for another to end
				done.Done()
			}))
		}
		done.Wait()
	}
	p.Close()
	if len(p.idle) != 0 {
		t.Errorf("%d goroutines wait", len(p.idle))
	}
}

func BenchmarkRun(b *testing.B) {
	var p Pool
	defer p.Close()
	done := make(chan struct{}, 1)
	var t Task = task(func() { done <- struct{}{} })
	b.ReportAllocs()
	for b.Loop() {
		p.Run(t)
		<-done
	}
}

func BenchmarkGo(b *testing.B) {
	done := make(chan struct{}, 1)
	t := func() { done <- struct{}{} }
	b.ReportAllocs()
	for b.Loop() {
		go t()
		<-done
	}
}
