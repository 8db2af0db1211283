package nsjail

import (
	"runtime"
	"sync"
)

// teardowns run behind the verdict: the kernel takes longer to take a sandbox
// down than a short script runs. They are few at a time, so that jobs which are
// slow to die hold up those after them, and not the machine.
type teardowns struct {
	slots   chan struct{}
	running *sync.WaitGroup
}

func newTeardowns() teardowns {
	return teardowns{slots: make(chan struct{}, 2*runtime.NumCPU()), running: &sync.WaitGroup{}}
}

// start runs one now, in a goroutine that wait waits for, or in this one if
// there are enough.
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

// wait returns when none is left; nobody may start one meanwhile.
func (t teardowns) wait() { t.running.Wait() }
