package jobs

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Outcome is how a job ended and what it produced. It is stored as JSON and sent to clients. Exactly one of Result and
// Failure is set.
type Outcome struct {
	// Result is the result of main() or of a cell's last expression: valid JSON as the script produced it (3.0 stays
	// 3.0). Nil unless the job succeeded.
	Result jsontext.Value `json:"result,omitzero"`
	// Failure describes why the job failed. Nil if it succeeded.
	Failure *Failure `json:"failure,omitzero"`
	// ExitCode is that of a program, 0 to 255: set with EntryScript if the script ended by itself.
	ExitCode *int `json:"exit_code,omitzero"`
	// Stdout and Stderr are valid UTF-8, at most Limits.OutputBytes of the script's output each; invalid bytes become
	// U+FFFD.
	Stdout    string    `json:"stdout"`
	Stderr    string    `json:"stderr"`
	Truncated Truncated `json:"truncated"`
	Usage     Usage     `json:"usage"`
	// Files are the script's files in outputs/ and elsewhere in its working directory, if it ended by itself.
	Files []OutputFile `json:"files,omitzero"`
	// FilesOmitted are files that are not in Files because of a limit.
	FilesOmitted []OmittedFile `json:"files_omitted,omitzero"`
	// Notes are sentences about changes to the script's result or files, such as `result["a"][1]: NaN became null`.
	Notes []string `json:"notes,omitzero"`
	// Displays are what the script showed, in that order, if it ended by itself.
	Displays []Display `json:"displays,omitzero"`
	// DisplaysOmitted are forms and displays that are not in Displays because of a limit.
	DisplaysOmitted []OmittedDisplay `json:"displays_omitted,omitzero"`
	// Limits are those under which the job ran; zero if that is not known. The store has a form of its own for them.
	Limits RequestedLimits `json:"-"`
}

// State returns the final state of a job with this outcome.
func (o Outcome) State() State {
	switch {
	case o.Failure == nil:
		return StateSucceeded
	case o.Failure.Code == CodeCancelled || o.Failure.Withdrawn():
		return StateCancelled
	default:
		return StateFailed
	}
}

// Failure describes why a job failed: a code for programs, a message for people, and further details. Fields that do
// not apply are zero.
type Failure struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Detail makes the message more precise, such as `result["a"][3]: set`.
	Detail string `json:"detail,omitzero"`
	// Hint names the limit that probably caused an exception, or the entry that a script without main() is for.
	Hint string `json:"hint,omitzero"`
	// Traceback contains only the script's own frames.
	Traceback string `json:"traceback,omitzero"`
	// Line and Column count from 1; Text is the source line. For syntax_error.
	Line   int    `json:"line,omitzero"`
	Column int    `json:"column,omitzero"`
	Text   string `json:"text,omitzero"`
	// ExitCode is the argument of sys.exit or os._exit. For exit.
	ExitCode *int `json:"exit_code,omitzero"`
	// Signal is the name of the signal that ended the script. For killed.
	Signal string `json:"signal,omitzero"`
	// Limit is the limit that was hit. For the enforced limit codes.
	Limit *LimitHit `json:"limit,omitzero"`
}

// Withdrawn reports whether the job was withdrawn before it started.
func (f *Failure) Withdrawn() bool {
	return f.Code == CodeUnavailable || f.Code == CodeNotStarted
}

// LimitHit names a limit, its value, and the value's unit ("seconds", "bytes",
// "count").
type LimitHit struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// Truncated reports which outputs were cut at their limit.
type Truncated struct {
	Stdout bool `json:"stdout"`
	Stderr bool `json:"stderr"`
}

// Usage is the resource usage of a job. Times are wall time in milliseconds unless named otherwise; nil means unknown
// on that machine.
type Usage struct {
	// QueuedMS is the time from acceptance until a worker took the job.
	QueuedMS float64 `json:"queued_ms"`
	// PrepareMS is the wait for a sandbox.
	PrepareMS float64 `json:"prepare_ms"`
	// RunMS is the time from passing the script to the sandbox until its last process was gone.
	RunMS float64 `json:"run_ms"`
	// CPUMS is user and system time of all the job's processes.
	CPUMS *float64 `json:"cpu_ms"`
	// MemoryPeakBytes is the most memory that the job used at once.
	MemoryPeakBytes *int64 `json:"memory_peak_bytes"`
}

// Milliseconds returns d in milliseconds, with a resolution of a microsecond.
func Milliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}
