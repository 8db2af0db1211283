package httpapi

import (
	"sync"

	"cellblock/internal/jobs"
)

// ends shares the encoded records of ended jobs among the streams that are sending them. All
// watchers of a job get its end at the same moment, may read slowly, and a record can have
// megabytes. The zero value is ready to use.
type ends struct {
	mu   sync.Mutex
	open map[*jobs.Record]*end
}

type end struct {
	// readers counts the streams that use the record; ends.mu guards it.
	readers int
	once    sync.Once
	data    []byte
	err     error
}

// take returns the result of encode for a record; encode is called once for all callers that hold
// the same record at the same time. The caller calls release when it no longer uses data.
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
