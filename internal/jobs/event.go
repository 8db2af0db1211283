package jobs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Stream is one of a script's two outputs.
type Stream string

// The outputs.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Printed is a piece of what a script printed.
type Printed struct {
	Stream Stream
	// At is where the piece begins in the stream's text, in bytes.
	At int
	// Text is valid UTF-8.
	Text string
}

// Event is something that happened to a job. One of State, Printed and End says
// what; Position is where whoever was told stands then.
type Event struct {
	// State is where the job stands now; "" for another event. It is no final one.
	State State
	// Printed is what was printed since; its Text is "" for another event.
	Printed Printed
	// End is the job once it ended, the last event; nil for another one.
	End      *Record
	Position Position
}

// Position is what somebody was told of a job. It is bytes of text and no place in
// whatever the text came by, so it means the same to every server, and after the end.
type Position struct {
	// State is the last one told, "" for none.
	State State
	// Stdout and Stderr are how many bytes of text were.
	Stdout, Stderr int
}

// told are the states as a position spells them.
var told = []State{"", StateQueued, StateRunning, "ended"}

// String spells the position for ParsePosition. Clients need not understand it.
func (p Position) String() string {
	state := slices.Index(told, p.State)
	if p.State.Ended() {
		state = len(told) - 1
	}
	return fmt.Sprintf("%d-%d-%d", state, p.Stdout, p.Stderr)
}

// Ended tells whether the end was told.
func (p Position) Ended() bool { return p.State == told[len(told)-1] || p.State.Ended() }

// maxPosition is more than any output has, in bytes.
const maxPosition = 1 << 40

// ParsePosition reads what String gave. CodeInvalidRequest.
func ParsePosition(s string) (Position, *Error) {
	var numbers [3]int
	parts := strings.Split(s, "-")
	valid := len(parts) == len(numbers)
	for i := 0; valid && i < len(parts); i++ {
		n, err := strconv.ParseUint(parts[i], 10, 63)
		valid = err == nil && n < maxPosition
		numbers[i] = int(n)
	}
	if !valid || numbers[0] >= len(told) {
		return Position{}, Errorf(CodeInvalidRequest, `"Last-Event-ID" must be the id of an event of this job`)
	}
	return Position{State: told[numbers[0]], Stdout: numbers[1], Stderr: numbers[2]}, nil
}

// Take gives what of a piece was not told yet, and the position behind that: no text
// if all was, or if something before it is missing, which then comes with the end.
func (p Position) Take(piece Printed) (Printed, Position) {
	at := &p.Stdout
	if piece.Stream == Stderr {
		at = &p.Stderr
	}
	if piece.At > *at || piece.At+len(piece.Text) <= *at {
		return Printed{Stream: piece.Stream, At: *at}, p
	}
	left := Printed{Stream: piece.Stream, At: *at, Text: piece.Text[*at-piece.At:]}
	*at += len(left.Text)
	return left, p
}
