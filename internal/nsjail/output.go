package nsjail

import (
	"bytes"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// output is what was kept of one stream. It is filled by the goroutine that
// collect starts; take waits for that one.
type output struct {
	source    io.ReadCloser
	kept      []byte
	truncated bool
	done      chan struct{}
	// most is a lower limit that came later; 0 if none did.
	most int64
}

// collect reads source to its end, keeps at most limit bytes and drops the
// rest, so that a script that prints without end is never blocked by it. It
// closes source. The owner must call take.
func collect(source io.ReadCloser, limit int64) *output {
	o := &output{source: source, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		defer source.Close()
		var kept bytes.Buffer
		// One byte beyond the limit tells a full stream from a cut one.
		_, _ = io.Copy(&kept, io.LimitReader(source, limit+1))
		_, _ = io.Copy(io.Discard, source)
		o.kept, o.truncated = kept.Bytes(), int64(kept.Len()) > limit
		if o.truncated {
			o.kept = wholeCharacters(o.kept[:limit])
		}
	}()
	return o
}

// take waits until the stream ended, at most drainBound, and gives it as valid
// UTF-8: whatever else was written comes as U+FFFD. Every writer must be dead.
func (o *output) take() (text string, truncated bool) {
	unblock := time.AfterFunc(drainBound, func() { _ = o.source.Close() })
	<-o.done
	unblock.Stop()
	if o.most > 0 && int64(len(o.kept)) > o.most {
		o.kept, o.truncated = wholeCharacters(o.kept[:o.most]), true
	}
	return strings.ToValidUTF8(string(o.kept), string(utf8.RuneError)), o.truncated
}

// cutAt has take give at most limit bytes, which is below what is collected.
func (o *output) cutAt(limit int64) { o.most = limit }

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
