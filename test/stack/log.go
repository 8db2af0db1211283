package stack

import (
	"bytes"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
)

// maxLogBytes bounds the kept output of a process: the beginning, which has the address, and the end, which has the
// error.
const maxLogBytes = 1 << 20

// log keeps the output of a process.
type log struct {
	mu   sync.Mutex
	head bytes.Buffer
	tail []byte
}

func newLog() *log { return &log{} }

// Write never fails.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := p
	if room := maxLogBytes - l.head.Len(); room > 0 {
		n := min(room, len(p))
		l.head.Write(p[:n])
		rest = p[n:]
	}
	l.tail = append(l.tail, rest...)
	if len(l.tail) > 2*maxLogBytes {
		l.tail = bytes.Clone(l.tail[len(l.tail)-maxLogBytes:])
	}
	return len(p), nil
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tail) == 0 {
		return l.head.String()
	}
	return l.head.String() + string(l.tail)
}

// records returns the lines that are JSON.
func (l *log) records() []map[string]any {
	var all []map[string]any
	for line := range strings.Lines(l.text()) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) == nil {
			all = append(all, record)
		}
	}
	return all
}
