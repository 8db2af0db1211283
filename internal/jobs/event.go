package jobs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Stream is one of a script's two output streams.
type Stream string

// The output streams.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// OutputChunk is a part of a script's output.
type OutputChunk struct {
	Stream Stream
	// Offset is the offset of the chunk in the stream's text, in bytes.
	Offset int
	// Text is valid UTF-8.
	Text string
}

// Event is something that happened to a job: one of State, Output and End. Position is the watcher's position after
// it.
type Event struct {
	// State is the job's new state, never a final one; "" for another event.
	State State
	// Output is new output; its Text is "" for another event.
	Output OutputChunk
	// End is the record of the ended job, for the last event; nil for another one.
	End      *Record
	Position Position
}

// Position is how much of a job's events a watcher has received. It counts bytes of text, not entries of a transport,
// so it means the same to every server, and after the end.
type Position struct {
	// State is the last state received, "" for none.
	State State
	// Stdout and Stderr are the numbers of bytes received.
	Stdout, Stderr int
}

// positionStates lists the states in the order of their numbers in an encoded position.
var positionStates = []State{"", StateQueued, StateRunning, "ended"}

// String encodes the position for ParsePosition. It is opaque to clients.
func (p Position) String() string {
	state := slices.Index(positionStates, p.State)
	if p.State.Ended() {
		state = len(positionStates) - 1
	}
	return fmt.Sprintf("%d-%d-%d", state, p.Stdout, p.Stderr)
}

// Ended reports whether the watcher has received the end.
func (p Position) Ended() bool {
	return p.State == positionStates[len(positionStates)-1] || p.State.Ended()
}

// maxPosition exceeds the size of any output, in bytes.
const maxPosition = 1 << 40

// ParsePosition parses a position encoded by String. It returns an error with CodeInvalidRequest if that fails.
func ParsePosition(s string) (Position, error) {
	var numbers [3]int
	parts := strings.Split(s, "-")
	valid := len(parts) == len(numbers)
	for i := 0; valid && i < len(parts); i++ {
		n, err := strconv.ParseUint(parts[i], 10, 63)
		valid = err == nil && n < maxPosition
		numbers[i] = int(n)
	}
	if !valid || numbers[0] >= len(positionStates) {
		return Position{}, Errorf(CodeInvalidRequest, `"Last-Event-ID" must be the id of an event of this job`)
	}
	return Position{State: positionStates[numbers[0]], Stdout: numbers[1], Stderr: numbers[2]}, nil
}

// Advance returns the part of chunk that is after p, and the position after that part. The part is empty if all of it
// was received, or if output before chunk is missing, which is then delivered at the end.
func (p Position) Advance(chunk OutputChunk) (OutputChunk, Position) {
	at := &p.Stdout
	if chunk.Stream == Stderr {
		at = &p.Stderr
	}
	if chunk.Offset > *at || chunk.Offset+len(chunk.Text) <= *at {
		return OutputChunk{Stream: chunk.Stream, Offset: *at}, p
	}
	left := OutputChunk{Stream: chunk.Stream, Offset: *at, Text: chunk.Text[*at-chunk.Offset:]}
	*at += len(left.Text)
	return left, p
}
