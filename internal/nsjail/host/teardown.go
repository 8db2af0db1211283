package host

import (
	"runtime"
	"sync"
)

// Teardowns runs teardowns after the verdict: to remove a sandbox takes the kernel longer than a
// short script runs. Their number is bounded, so that jobs that are slow to die delay later jobs
// and do not overload the machine.
type Teardowns struct {
	slots   chan struct{}
	running *sync.WaitGroup
}

// MaxTeardowns returns how many teardowns run at once in goroutines of their own.
func MaxTeardowns() int { return 2 * runtime.NumCPU() }

func newTeardowns() Teardowns {
	return Teardowns{slots: make(chan struct{}, MaxTeardowns()), running: &sync.WaitGroup{}}
}

// Start runs the teardown in a goroutine; if too many run already, it runs it in this one.
func (t Teardowns) Start(teardown func()) {
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

// wait blocks until all teardowns are done. Start must not be called meanwhile.
func (t Teardowns) wait() { t.running.Wait() }
