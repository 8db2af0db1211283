// Package signals wakes those who wait for something with a name.
package signals

import "sync"

// Signals are waits, by name. Its zero value is ready. It is safe for concurrent
// use.
type Signals struct {
	mu   sync.Mutex
	open map[string][]chan struct{}
}

// Add registers a wait. The channel gets a value whenever what is waited for may
// have come; the receiver looks. done ends the wait, and is called once. first and
// last tell whether there is no other wait of that name then.
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

// Notify wakes all who wait for a name.
func (s *Signals) Notify(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.open[name] {
		select {
		case c <- struct{}{}:
		default: // one that has not been looked at is enough
		}
	}
}

// Names are what is waited for.
func (s *Signals) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.open))
	for name := range s.open {
		names = append(names, name)
	}
	return names
}
