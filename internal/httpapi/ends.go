package httpapi

import (
	"sync"

	"cellblock/internal/jobs"
)

// ends are the encoded records of jobs whose end is being told. All who watch a job
// hear of its end at once, however slowly they read, and a record has megabytes: they
// share one. Its zero value is ready.
type ends struct {
	mu   sync.Mutex
	open map[*jobs.Record]*end
}

type end struct {
	// readers is under the lock of ends.
	readers int
	once    sync.Once
	data    []byte
	err     error
}

// take gives what encode makes of a record, which is called once for all who have
// the same one. The caller calls release once it is done with it.
func (e *ends) take(record *jobs.Record, encode func() ([]byte, error)) (data []byte, release func(), err error) {
	e.mu.Lock()
	shared := e.open[record]
	if shared == nil {
		shared = &end{}
		if e.open == nil {
			e.open = map[*jobs.Record]*end{}
		}
		e.open[record] = shared
	}
	shared.readers++
	e.mu.Unlock()
	shared.once.Do(func() { shared.data, shared.err = encode() })
	return shared.data, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if shared.readers--; shared.readers == 0 {
			delete(e.open, record)
		}
	}, shared.err
}
