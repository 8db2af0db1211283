package nsjail

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// output is what was kept of one stream. It is filled by the goroutine that
// collect starts, until that one is done.
type output struct {
	source *os.File
	limit  int64
	done   chan struct{}
	// written gets a value when more was kept, for who follows; nil for nobody.
	written chan<- struct{}

	mu   sync.Mutex
	kept []byte
	// most is a lower limit that came later, for who takes; 0 if none did.
	most int64
}

// collect reads source to its end, keeps at most limit bytes and drops the
// rest, so that a script that prints without end is never blocked by it. It
// owns source. Whenever it kept something, written gets a value, if there is room
// in it; it may be nil. The owner of what it gives must call stop.
func collect(source *os.File, limit int64, written chan<- struct{}) *output {
	o := &output{source: source, limit: limit, done: make(chan struct{}), written: written}
	go func() {
		defer close(o.done)
		_, _ = io.Copy(o, source)
	}()
	return o
}

// Write keeps what there is room for. One byte beyond the limit tells a full
// stream from a cut one.
func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	room := max(o.limit+1-int64(len(o.kept)), 0)
	o.kept = append(o.kept, data[:min(int64(len(data)), room)]...)
	o.mu.Unlock()
	if room > 0 {
		select {
		case o.written <- struct{}{}:
		default: // nobody follows, or there is one that has not been looked at
		}
	}
	return len(data), nil
}

// take waits until the stream ended, at most drainBound, and gives it as valid
// UTF-8: whatever else was written comes as U+FFFD. Every writer must be dead.
func (o *output) take() (text string, truncated bool) {
	_ = o.source.SetReadDeadline(time.Now().Add(drainBound))
	<-o.done
	return o.text()
}

// takeNow gives what was written up to now, whoever may go on writing.
func (o *output) takeNow() (text string, truncated bool) {
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

// drain takes what lies in the pipe, and not what is put there meanwhile.
func (o *output) drain(fd int) {
	lying, err := unix.IoctlGetInt(fd, unix.TIOCINQ) // FIONREAD, pipe(7)
	if err != nil || lying <= 0 {
		return
	}
	data := make([]byte, lying)
	if n, err := unix.Read(fd, data); err == nil && n > 0 {
		_, _ = o.Write(data[:n])
	}
}

func (o *output) text() (text string, truncated bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept, limit := o.kept, o.bound()
	if truncated = int64(len(kept)) > limit; truncated {
		kept = wholeCharacters(kept[:limit])
	}
	return validUTF8(kept), truncated
}

// validUTF8 replaces what is no UTF-8 as Python's "replace" does: one U+FFFD for
// each byte that cannot begin a character, and one for each that was cut short.
func validUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var text strings.Builder
	text.Grow(len(b) + len(b)/2)
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			size = beginning(b)
		}
		text.WriteRune(r)
		b = b[size:]
	}
	return text.String()
}

// beginning counts the bytes at the start of b, which does not begin with a whole
// character, that one could begin with; at least 1.
func beginning(b []byte) int {
	size := 1
	// The beginning of a character may still become a full one.
	for size < min(len(b), utf8.UTFMax) && !utf8.FullRune(b[:size+1]) {
		size++
	}
	return size
}

// cutAt has take give at most limit bytes, which is below what is collected.
func (o *output) cutAt(limit int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.most = limit
}

// bound is how many bytes are given at most. Under mu.
func (o *output) bound() int64 {
	if o.most > 0 {
		return o.most
	}
	return o.limit
}

// stop ends the reading, whatever still holds the other end.
func (o *output) stop() {
	_ = o.source.Close()
	<-o.done
}

// wholeCharacters drops the beginning of a character that a cut left behind.
func wholeCharacters(b []byte) []byte {
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
