package sandbox

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/watchdog"
)

// Output is what was kept of one stream. The goroutine that Collect starts fills it until done is
// closed.
type Output struct {
	source *os.File
	limit  int64
	done   chan struct{}
	// written receives a value when more was kept; nil if nothing follows the output.
	written chan<- struct{}

	mu   sync.Mutex
	kept []byte
	// loweredLimit is a limit that was set later, for reading; 0 if none was.
	loweredLimit int64
}

// Collect reads source to its end in a goroutine. It keeps at most limit bytes and drops the rest,
// so that a script that prints without end is never blocked. It owns source. Whenever it kept more,
// it sends a value to written without blocking; written may be nil. The caller must call Stop.
func Collect(source *os.File, limit int64, written chan<- struct{}) *Output {
	o := &Output{source: source, limit: limit, done: make(chan struct{}), written: written}
	go func() {
		defer close(o.done)
		_, _ = io.Copy(o, source)
	}()
	return o
}

// Write keeps up to limit+1 bytes in all: the extra byte shows that the stream was cut.
func (o *Output) Write(data []byte) (int, error) {
	o.mu.Lock()
	room := max(o.limit+1-int64(len(o.kept)), 0)
	o.kept = append(o.kept, data[:min(int64(len(data)), room)]...)
	o.mu.Unlock()
	if room > 0 {
		select {
		case o.written <- struct{}{}:
		default: // no follower, or one that has not read the last value
		}
	}
	return len(data), nil
}

// readAll blocks until the stream ends, drainBound at most, and returns it as valid UTF-8: each
// invalid byte becomes U+FFFD. All writers must be dead.
func (o *Output) readAll() (text string, truncated bool) {
	if !watchdog.Wait(o.done, drainBound, nil) {
		_ = o.source.SetReadDeadline(time.Unix(1, 0))
		<-o.done
	}
	return o.text()
}

// readAvailable returns what was written so far, as readAll does; writers may go on.
func (o *Output) readAvailable() (text string, truncated bool) {
	_ = o.source.SetReadDeadline(time.Unix(1, 0))
	<-o.done
	_ = o.source.SetReadDeadline(time.Time{})
	if raw, err := o.source.SyscallConn(); err == nil {
		_ = raw.Read(func(fd uintptr) bool {
			o.drain(int(fd))
			return true
		})
	}
	return o.text()
}

// Text returns what was kept of a stream that is stopped, without spaces at its ends.
func (o *Output) Text() string {
	text, _ := o.text()
	return strings.TrimSpace(text)
}

// drain reads the bytes that are in the pipe now, not what is written meanwhile.
func (o *Output) drain(fd int) {
	available, err := unix.IoctlGetInt(fd, unix.TIOCINQ) // FIONREAD, pipe(7)
	if err != nil || available <= 0 {
		return
	}
	data := make([]byte, available)
	if n, err := unix.Read(fd, data); err == nil && n > 0 {
		_, _ = o.Write(data[:n])
	}
}

func (o *Output) text() (text string, truncated bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept, limit := o.kept, o.effectiveLimit()
	if truncated = int64(len(kept)) > limit; truncated {
		kept = trimIncomplete(kept[:limit])
	}
	return validUTF8(kept), truncated
}

// validUTF8 replaces invalid UTF-8 as Python's "replace" does: with one U+FFFD for each byte that
// cannot begin a character and one for each incomplete character.
func validUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var text strings.Builder
	text.Grow(len(b) + len(b)/2)
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			size = incompleteLength(b)
		}
		text.WriteRune(r)
		b = b[size:]
	}
	return text.String()
}

// incompleteLength returns how many bytes at the start of b begin a character, at least 1. The
// character must not be complete.
func incompleteLength(b []byte) int {
	size := 1
	// FullRune is false while the bytes can still become a character.
	for size < min(len(b), utf8.UTFMax) && !utf8.FullRune(b[:size+1]) {
		size++
	}
	return size
}

// lowerLimit makes readAll return at most limit bytes. limit must not exceed that of Collect.
func (o *Output) lowerLimit(limit int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.loweredLimit = limit
}

// effectiveLimit returns the most bytes to return. The caller holds mu.
func (o *Output) effectiveLimit() int64 {
	if o.loweredLimit > 0 {
		return o.loweredLimit
	}
	return o.limit
}

// Stop ends the reading, even if the other end is still open.
func (o *Output) Stop() {
	_ = o.source.Close()
	<-o.done
}

// trimIncomplete drops an incomplete character at the end.
func trimIncomplete(b []byte) []byte {
	for back := 1; back < utf8.UTFMax && back <= len(b); back++ {
		start := len(b) - back
		if utf8.RuneStart(b[start]) {
			if !utf8.FullRune(b[start:]) {
				return b[:start]
			}
			break
		}
	}
	return b
}
