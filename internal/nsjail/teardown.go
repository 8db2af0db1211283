package nsjail

import (
	"runtime"
	"sync"
)

// teardowns runs teardowns after the verdict: to remove a sandbox takes the kernel longer than a
// short script runs. Their number is bounded, so that jobs that are slow to die delay later jobs
// and do not overload the machine.
type teardowns struct {
	slots   chan struct{}
	running *sync.WaitGroup
}

func newTeardowns() teardowns {
	return teardowns{slots: make(chan struct{}, 2*runtime.NumCPU()), running: &sync.WaitGroup{}}
}

// start runs the teardown in a goroutine; if too many run already, it runs it in this one.
func (t teardowns) start(teardown func()) {
	select {
	case t.slots <- struct{}{}:
		t.running.Go(func() {
			defer func() { <-t.slots }()
			teardown()
		})
	default:
		teardown()
	}
}

// wait blocks until all teardowns are done. start must not be called meanwhile.
func (t teardowns) wait() { t.running.Wait() }
