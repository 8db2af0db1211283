package supervise

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// maxLine is where a line without an end is broken up, in bytes.
const maxLine = 64 << 10

// colours are the terminal's codes for the names, given out in turn: cyan,
// green, yellow, magenta, blue.
var colours = []int{36, 32, 33, 35, 34}

// Output prints what several programs write to one place, whole lines at a
// time. Its methods may be called from several goroutines.
type Output struct {
	mu     sync.Mutex
	to     io.Writer
	width  int
	colour bool
	named  int
}

// NewOutput prints to w. Names are padded to width characters; colour tells
// whether they are coloured with terminal codes.
func NewOutput(w io.Writer, width int, colour bool) *Output {
	return &Output{to: w, width: width, colour: colour}
}

// Say prints a line without a name: the supervisor's own words.
func (o *Output) Say(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(o.to, format+"\n", args...)
}

// lines makes the writer for the program of this name.
func (o *Output) lines(name string) *lineWriter {
	o.mu.Lock()
	defer o.mu.Unlock()
	prefix := fmt.Sprintf("%-*s | ", o.width, name)
	if o.colour {
		prefix = fmt.Sprintf("\x1b[%dm%-*s |\x1b[0m ", colours[o.named%len(colours)], o.width, name)
	}
	o.named++
	return &lineWriter{output: o, prefix: prefix}
}

// print writes one line, ended or not, under a prefix. A failure has nowhere
// to be told: the terminal is gone.
func (o *Output) print(prefix string, line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	whole := make([]byte, 0, len(prefix)+len(line)+1)
	whole = append(append(whole, prefix...), line...)
	whole = append(whole, '\n')
	_, _ = o.to.Write(whole)
}

// lineWriter prints what is written to it line by line, and remembers the last
// line that said something.
type lineWriter struct {
	output *Output
	prefix string

	mu      sync.Mutex
	pending []byte
	last    string
}

// Write never fails: a program must not be stopped by a terminal that is gone.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append(w.pending, p...)
	for {
		end := bytes.IndexByte(w.pending, '\n')
		switch {
		case end >= 0:
			w.line(w.pending[:end])
			w.pending = w.pending[end+1:]
		case len(w.pending) >= maxLine:
			w.line(w.pending[:maxLine])
			w.pending = w.pending[maxLine:]
		default:
			return len(p), nil
		}
	}
}

// flush prints a last line that has no end.
func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending) > 0 {
		w.line(w.pending)
		w.pending = nil
	}
}

func (w *lineWriter) line(line []byte) {
	line = bytes.TrimRight(line, "\r")
	if said := bytes.TrimSpace(line); len(said) > 0 {
		w.last = string(said)
	}
	w.output.print(w.prefix, line)
}

func (w *lineWriter) lastLine() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// forgetLast is for a new run: lastLine is of that one only.
func (w *lineWriter) forgetLast() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = ""
}
