// Package signals wakes goroutines that wait on a name.
package signals

import "sync"

// Signals is a set of waiters by name. The zero value is ready to use. It is safe for concurrent use.
type Signals struct {
	mu   sync.Mutex
	open map[string][]chan struct{}
}

// Add registers a waiter. The channel receives a value on Notify; the receiver then checks its condition, which may
// not hold yet. Call done once to remove the waiter. first and last report whether there is no other waiter of that
// name at the time.
func (s *Signals) Add(name string) (heard <-chan struct{}, first bool, done func() (last bool)) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[string][]chan struct{}{}
	}
	s.open[name] = append(s.open[name], c)
	return c, len(s.open[name]) == 1, func() bool { return s.remove(name, c) }
}

func (s *Signals) remove(name string, c chan struct{}) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var others []chan struct{}
	for _, other := range s.open[name] {
		if other != c {
			others = append(others, other)
		}
	}
	if len(others) == 0 {
		delete(s.open, name)
		return true
	}
	s.open[name] = others
	return false
}

// Notify wakes all waiters of a name.
func (s *Signals) Notify(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.open[name] {
		select {
		case c <- struct{}{}:
		default: // one pending value is enough
		}
	}
}

// Names returns the names that have waiters.
func (s *Signals) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.open))
	for name := range s.open {
		names = append(names, name)
	}
	return names
}
