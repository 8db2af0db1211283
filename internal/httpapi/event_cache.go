package httpapi

import (
	"sync"

	"cellblock/internal/jobs"
)

// endCache shares the encoded records of ended jobs among the streams that send them. All watchers of a job receive its
// end at the same moment and may read slowly, and a record can have megabytes. The zero value is ready to use. It is
// safe for concurrent use.
type endCache struct {
	mu      sync.Mutex
	entries map[*jobs.Record]*cachedEnd
}

type cachedEnd struct {
	// readers counts the streams that use the entry; endCache.mu guards it.
	readers int
	once    sync.Once
	data    []byte
	err     error
}

// get returns the result of encode for a record. It calls encode once for all callers that use the same record at the
// same time. The caller calls release when it no longer uses data.
func (c *endCache) get(record *jobs.Record, encode func() ([]byte, error)) (data []byte, release func(), err error) {
	c.mu.Lock()
	entry := c.entries[record]
	if entry == nil {
		entry = &cachedEnd{}
		if c.entries == nil {
			c.entries = map[*jobs.Record]*cachedEnd{}
		}
		c.entries[record] = entry
	}
	entry.readers++
	c.mu.Unlock()
	entry.once.Do(func() { entry.data, entry.err = encode() })
	return entry.data, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if entry.readers--; entry.readers == 0 {
			delete(c.entries, record)
		}
	}, entry.err
}
