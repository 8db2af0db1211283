package webhook

import (
	"sync"
	"time"
)

// slowHosts prevents slow receivers from delaying all others. Hosts that recently used most of the timeout share half
// of the concurrent attempts; the rest is for other hosts.
type slowHosts struct {
	mu    sync.Mutex
	until map[string]time.Time
	// share is the maximum number of concurrent attempts at slow hosts, and active their number now.
	share, active int
	// slowFor is how long a host counts as slow after a slow attempt.
	slowFor time.Duration
	// slowFrom is the duration from which an attempt is slow.
	slowFrom time.Duration
}

func newSlowHosts(settings Settings) *slowHosts {
	return &slowHosts{
		until: map[string]time.Time{}, share: max(1, settings.Concurrency/2),
		slowFor: 10 * settings.Timeout, slowFrom: settings.Timeout / 2,
	}
}

// Acquire reports whether an attempt at host may be made now. If so, the caller calls release with its duration, 0 if
// none was made.
func (s *slowHosts) Acquire(host string) (release func(took time.Duration), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slow := time.Now().Before(s.until[host])
	if slow && s.active >= s.share {
		return nil, false
	}
	if slow {
		s.active++
	}
	return func(took time.Duration) { s.release(host, slow, took) }, true
}

func (s *slowHosts) release(host string, slow bool, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slow {
		s.active--
	}
	now := time.Now()
	switch {
	case took >= s.slowFrom:
		s.until[host] = now.Add(s.slowFor)
	case took > 0:
		delete(s.until, host)
	}
	// There are few hosts, since each attempt was slow.
	for other, until := range s.until {
		if now.After(until) {
			delete(s.until, other)
		}
	}
}
