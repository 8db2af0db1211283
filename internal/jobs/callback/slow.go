package callback

import (
	"sync"
	"time"
)

// slowHosts keeps receivers that let us wait from holding up all others. Those
// that took most of the timeout lately share half of what may be sent at once; the
// rest is for those of which nothing of the kind is known.
type slowHosts struct {
	mu    sync.Mutex
	until map[string]time.Time
	// share is how many attempts at such hosts there may be at once, and active how
	// many there are.
	share, active int
	// remembered is for how long a host is slow after it was.
	remembered time.Duration
	// least is how long an attempt takes that is slow.
	least time.Duration
}

func newSlowHosts(settings Settings) *slowHosts {
	return &slowHosts{
		until: map[string]time.Time{}, share: max(1, settings.Concurrency/2),
		remembered: 10 * settings.Timeout, least: settings.Timeout / 2,
	}
}

// begin reports whether an attempt at a host may be made now. If so, leave is to be
// called with how long it took, 0 if none was made.
func (s *slowHosts) begin(host string) (leave func(took time.Duration), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slow := time.Now().Before(s.until[host])
	if slow && s.active >= s.share {
		return nil, false
	}
	if slow {
		s.active++
	}
	return func(took time.Duration) { s.leave(host, slow, took) }, true
}

func (s *slowHosts) leave(host string, slow bool, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slow {
		s.active--
	}
	now := time.Now()
	switch {
	case took >= s.least:
		s.until[host] = now.Add(s.remembered)
	case took > 0:
		delete(s.until, host)
	}
	// There are few: each took its time.
	for other, until := range s.until {
		if now.After(until) {
			delete(s.until, other)
		}
	}
}
