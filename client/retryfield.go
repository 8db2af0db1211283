package client

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// maxFieldBytes is more than the length of a retry field.
const maxFieldBytes = 64

// retryField finds the field "retry" in the event stream that is written to it, because the SSE parser drops that
// field.
type retryField struct {
	// found is called with the time to wait before the next connection.
	found func(time.Duration)
	// line is the beginning of the current line.
	line []byte
}

// Write never fails.
func (f *retryField) Write(p []byte) (int, error) {
	n := len(p)
	for {
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			f.appendToLine(p)
			return n, nil
		}
		f.appendToLine(p[:end])
		if value, ok := strings.CutPrefix(string(f.line), "retry:"); ok {
			// The standard allows digits only; other values are ignored.
			if ms, err := strconv.ParseUint(strings.TrimPrefix(value, " "), 10, 32); err == nil {
				f.found(time.Duration(ms) * time.Millisecond)
			}
		}
		f.line, p = f.line[:0], p[end+1:]
	}
}

func (f *retryField) appendToLine(p []byte) {
	f.line = append(f.line, p[:min(len(p), maxFieldBytes-len(f.line))]...)
}
