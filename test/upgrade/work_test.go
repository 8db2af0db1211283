package upgrade

import (
	"context"
	"sync"
	"testing"
	"time"
)

// work is each kind of work, done some times at once.
type work struct {
	all sync.WaitGroup

	mu   sync.Mutex
	left map[string]int
	errs map[string]error
}

// startWork starts all kinds that the versions have.
func startWork(ctx context.Context, operator, tenant *party, has [2]features) *work {
	w := &work{left: map[string]int{}, errs: map[string]error{}}
	for _, k := range kinds {
		if k.has != nil && !k.has(has[0], has[1]) {
			continue
		}
		p := operator
		if k.byTenant {
			p = tenant
		}
		w.left[k.name] = each
		for range each {
			w.all.Go(func() {
				err := k.do(ctx, p)
				w.mu.Lock()
				defer w.mu.Unlock()
				w.left[k.name]--
				if err != nil {
					w.errs[k.name] = err
				}
			})
		}
	}
	return w
}

// unfinished returns the kinds that are not finished after the patience, or none before that.
func (w *work) unfinished(patience time.Duration) map[string]bool {
	finished := make(chan struct{})
	go func() { // ends with the work, for which the caller waits
		w.all.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(patience):
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	kinds := map[string]bool{}
	for name, n := range w.left {
		if n > 0 {
			kinds[name] = true
		}
	}
	return kinds
}

// errors reports what went wrong, by kind. Call it when all are finished.
func (w *work) errors(t *testing.T) map[string]error {
	t.Helper()
	for name, err := range w.errs {
		t.Errorf("%s: %v", name, err)
	}
	return w.errs
}
