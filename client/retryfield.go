package client

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// maxFieldBytes is more than a field with a number has.
const maxFieldBytes = 64

// retryField finds the field "retry" in a stream of events that is written to it:
// the parser leaves that one out.
type retryField struct {
	// found is told how long to wait before the next connection.
	found func(time.Duration)
	// line is the beginning of the line that is not over.
	line []byte
}

// Write never fails.
func (f *retryField) Write(p []byte) (int, error) {
	n := len(p)
	for {
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			f.keep(p)
			return n, nil
		}
		f.keep(p[:end])
		if value, ok := strings.CutPrefix(string(f.line), "retry:"); ok {
			// Digits only, by the standard; else the field does not count.
			if ms, err := strconv.ParseUint(strings.TrimPrefix(value, " "), 10, 32); err == nil {
				f.found(time.Duration(ms) * time.Millisecond)
			}
		}
		f.line, p = f.line[:0], p[end+1:]
	}
}

func (f *retryField) keep(p []byte) {
	f.line = append(f.line, p[:min(len(p), maxFieldBytes-len(f.line))]...)
}
