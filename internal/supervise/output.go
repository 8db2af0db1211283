package supervise

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// maxLine is the length, in bytes, at which a line is split.
const maxLine = 64 << 10

// ansiColors are the terminal codes for the names, used in turn: cyan, green, yellow, magenta, blue.
var ansiColors = []int{36, 32, 33, 35, 34}

// Output prints the output of several programs to one writer, in whole lines. It is safe for concurrent use.
type Output struct {
	mu    sync.Mutex
	to    io.Writer
	width int
	color bool
	named int
}

// NewOutput returns an Output that prints to w. Names are padded to width characters, and colored with terminal codes
// if color is true.
func NewOutput(w io.Writer, width int, color bool) *Output {
	return &Output{to: w, width: width, color: color}
}

// Printf prints a line of the supervisor itself, without a name, and adds the newline.
func (o *Output) Printf(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(o.to, format+"\n", args...)
}

// lines returns the writer for the program of this name.
func (o *Output) lines(name string) *lineWriter {
	o.mu.Lock()
	defer o.mu.Unlock()
	prefix := fmt.Sprintf("%-*s | ", o.width, name)
	if o.color {
		prefix = fmt.Sprintf("\x1b[%dm%-*s |\x1b[0m ", ansiColors[o.named%len(ansiColors)], o.width, name)
	}
	o.named++
	return &lineWriter{output: o, prefix: prefix}
}

// print writes one line under a prefix and adds the newline. It ignores errors: the terminal is gone, and there is no
// other place to report them.
func (o *Output) print(prefix string, line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	whole := make([]byte, 0, len(prefix)+len(line)+1)
	whole = append(append(whole, prefix...), line...)
	whole = append(whole, '\n')
	_, _ = o.to.Write(whole)
}

// lineWriter prints what is written to it line by line, and keeps the last line that is not blank.
type lineWriter struct {
	output *Output
	prefix string

	mu      sync.Mutex
	pending []byte
	last    string
}

// Write never fails, so that a program continues when the terminal is gone.
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

// flush prints an unfinished last line.
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
	if text := bytes.TrimSpace(line); len(text) > 0 {
		w.last = string(text)
	}
	w.output.print(w.prefix, line)
}

func (w *lineWriter) lastLine() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// clearLastLine clears the last line, for a new run.
func (w *lineWriter) clearLastLine() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = ""
}
