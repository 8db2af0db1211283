package queue

import (
	"slices"
	"sync"
	"time"

	"cellblock/internal/jobs"
)

// slots bounds the concurrent jobs of each tenant besides the operator, and those of all batches together, in one
// consumer: its other slots are free for other tenants' jobs, however many and long the ones of a tenant are. asynq has
// no such bound; a poll passes over what has reached it. The zero value has no bound. It is safe for concurrent use.
type slots struct {
	// bound is the number of slots, 0 for all.
	bound int

	mu sync.Mutex
	// taken are the slots in use that count.
	taken []*slot
	// ended counts the jobs that ended.
	ended int
	// left reports that jobs were passed over.
	left bool
	// peers are those of the consumers that take for the same worker, itself included; nil for one alone.
	peers []*slots
}

// all returns the slots of the worker.
func (s *slots) all() []*slots {
	if s.peers == nil {
		return []*slots{s}
	}
	return s.peers
}

// slot is one that a job uses.
type slot struct {
	id     string
	tenant jobs.Tenant
	batch  bool
	// begun reports that the handler has the job, which was taken at a time.
	begun bool
	at    time.Time
}

// beginBound bounds the time from a poll that takes a job to its handler. asynq starts a goroutine for it at once; the
// bound is reached only if asynq drops the task instead.
const beginBound = time.Second

// exclusion is what the next poll passes over.
type exclusion struct {
	tenants []string
	batches bool
	// ended is slots.ended at that time.
	ended int
}

// excluded returns what has reached the bound.
func (s *slots) excluded() exclusion {
	s.mu.Lock()
	e, batches, counts := exclusion{ended: s.ended}, 0, map[jobs.Tenant]int{}
	s.mu.Unlock()
	// After that: a job that ends while its peer is counted makes leave ask for another poll.
	for _, peer := range s.all() {
		for _, t := range peer.current() {
			if t.batch {
				batches++
			}
			if counts[t.tenant]++; t.tenant != jobs.Operator && counts[t.tenant] == s.bound {
				e.tenants = append(e.tenants, string(t.tenant))
			}
		}
	}
	e.batches = batches > 0 && batches >= s.bound
	return e
}

// current returns the slots in use that count.
func (s *slots) current() []slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = slices.DeleteFunc(s.taken, func(t *slot) bool { return !t.begun && time.Since(t.at) > beginBound })
	current := make([]slot, len(s.taken))
	for i, t := range s.taken {
		current[i] = *t
	}
	return current
}

// take counts a job that a poll took.
func (s *slots) take(id string, tenant jobs.Tenant, batch bool) {
	if s.bound == 0 || tenant == jobs.Operator && !batch {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, &slot{id: id, tenant: tenant, batch: batch, at: time.Now()})
}

// begin is called when a job reaches its handler. It returns the job's slot, nil if that does not count.
func (s *slots) begin(id string) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.taken {
		if t.id == id && !t.begun {
			t.begun = true
			return t
		}
	}
	return nil
}

// end frees a slot and reports whether to poll again.
func (s *slots) end(t *slot) bool {
	if t == nil {
		return false
	}
	s.mu.Lock()
	s.taken = slices.DeleteFunc(s.taken, func(other *slot) bool { return other == t })
	s.mu.Unlock()
	return s.noteEnd()
}

// noteEnd notes that a slot of the worker is free again, and reports whether to poll again.
func (s *slots) noteEnd() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
	left := s.left
	s.left = false
	return left
}

// leave records whether a poll passed over jobs, and reports whether to poll again at once: a job has ended meanwhile.
func (s *slots) leave(e exclusion, left bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if left && s.ended != e.ended {
		return true
	}
	s.left = left
	return false
}
