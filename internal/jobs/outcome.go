package jobs

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Outcome is how a job ended and what it left. It is stored as JSON and is
// what a client reads. Exactly one of Result and Failure is set.
type Outcome struct {
	// Result is what main() returned: valid JSON as the script made it
	// (3.0 stays 3.0). Nil unless the job succeeded.
	Result jsontext.Value `json:"result,omitzero"`
	// Failure says why the job failed. Nil if it succeeded.
	Failure *Failure `json:"failure,omitzero"`
	// Stdout and Stderr are valid UTF-8, at most Limits.OutputBytes of what the
	// script wrote each; other bytes come as U+FFFD.
	Stdout    string    `json:"stdout"`
	Stderr    string    `json:"stderr"`
	Truncated Truncated `json:"truncated"`
	Usage     Usage     `json:"usage"`
	// Files are what the script left in outputs/ and elsewhere in its working
	// directory, if it ended by itself.
	Files []OutputFile `json:"files,omitzero"`
	// FilesOmitted are files that a limit kept out of Files.
	FilesOmitted []OmittedFile `json:"files_omitted,omitzero"`
	// Notes are sentences on what of the result or the files is not as the script
	// had it, such as `result["a"][1]: NaN became null`.
	Notes []string `json:"notes,omitzero"`
}

// State is the final state that this outcome gives a job.
func (o Outcome) State() State {
	switch {
	case o.Failure == nil:
		return StateSucceeded
	case o.Failure.Code == CodeCancelled || o.Failure.NeverRan():
		return StateCancelled
	default:
		return StateFailed
	}
}

// Failure is why a job failed: a code for programs, a sentence for people, and
// what else is known. Fields that do not apply are zero.
type Failure struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Detail narrows the sentence, such as `result["a"][3]: set`.
	Detail string `json:"detail,omitzero"`
	// Hint names the limit that probably lies behind an exception.
	Hint string `json:"hint,omitzero"`
	// Traceback has the script's own frames only.
	Traceback string `json:"traceback,omitzero"`
	// Line and Column count from 1; Text is the source line. For syntax_error.
	Line   int    `json:"line,omitzero"`
	Column int    `json:"column,omitzero"`
	Text   string `json:"text,omitzero"`
	// ExitCode is what the script gave to sys.exit or os._exit. For exit.
	ExitCode *int `json:"exit_code,omitzero"`
	// Signal is the name of the signal that ended the script. For killed.
	Signal string `json:"signal,omitzero"`
	// Limit is the limit that was hit. For the enforced limit codes.
	Limit *LimitHit `json:"limit,omitzero"`
}

// NeverRan reports whether the job was taken back before anybody started it.
func (f *Failure) NeverRan() bool {
	return f.Code == CodeUnavailable || f.Code == CodeNotStarted
}

// LimitHit names a limit, its value, and the value's unit ("seconds", "bytes",
// "count").
type LimitHit struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// Truncated says which outputs were cut at their bound.
type Truncated struct {
	Stdout bool `json:"stdout"`
	Stderr bool `json:"stderr"`
}

// Usage is what a job took. Times are wall time in milliseconds unless named
// otherwise; nil means that it cannot be known on that machine.
type Usage struct {
	// QueuedMS is from acceptance until a worker took the job up.
	QueuedMS float64 `json:"queued_ms"`
	// PrepareMS is the wait for a sandbox.
	PrepareMS float64 `json:"prepare_ms"`
	// RunMS is from the script's hand-over until its last process was gone.
	RunMS float64 `json:"run_ms"`
	// CPUMS is user and system time of all the job's processes.
	CPUMS *float64 `json:"cpu_ms"`
	// MemoryPeakBytes is the most memory that the job held at once.
	MemoryPeakBytes *int64 `json:"memory_peak_bytes"`
}

// Milliseconds gives d in milliseconds, to the microsecond.
func Milliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}
