package jobs

import "slices"

// Code names an error for programs. Codes are part of the HTTP contract: they
// are never renamed, and every one is in the table of docs/api.md.
type Code string

// Refused before a job exists.
const (
	CodeInvalidRequest       Code = "invalid_request"
	CodeUnauthorized         Code = "unauthorized"
	CodeNotFound             Code = "not_found"
	CodeMethodNotAllowed     Code = "method_not_allowed"
	CodeUnsupportedMediaType Code = "unsupported_media_type"
	CodeScriptTooLarge       Code = "script_too_large"
	CodeInputTooLarge        Code = "input_too_large"
	CodePreconditionFailed   Code = "precondition_failed"
	CodeRangeNotSatisfiable  Code = "range_not_satisfiable"
	CodeUnavailable          Code = "unavailable"
	CodeQueueFull            Code = "queue_full"
	CodeIdempotencyMismatch  Code = "idempotency_mismatch"
	CodeInternal             Code = "internal"
)

// Answers about a job that exists.
const (
	// CodeAlreadyFinished refuses to cancel a job that has ended.
	CodeAlreadyFinished Code = "already_finished"
)

// Reported: the runner's word from inside the sandbox. User code can forge
// these for its own job, and nothing else.
const (
	CodeMissingMain     Code = "missing_main"
	CodeSyntaxError     Code = "syntax_error"
	CodeArgsMismatch    Code = "args_mismatch"
	CodeNotSerializable Code = "not_serializable"
	CodeException       Code = "exception"
	CodeExit            Code = "exit"
)

// Enforced: known from evidence outside the sandbox. They win over any report.
const (
	CodeTimeout        Code = "timeout"
	CodeCPULimit       Code = "cpu_limit"
	CodeMemoryLimit    Code = "memory_limit"
	CodeProcessLimit   Code = "process_limit"
	CodeResultTooLarge Code = "result_too_large"
	CodeFilesTooLarge  Code = "files_too_large"
	CodeKilled         Code = "killed"
	CodeWorkerLost     Code = "worker_lost"
	CodeCancelled      Code = "cancelled"
	// CodeNotStarted ends a job that nobody started by its start deadline.
	CodeNotStarted Code = "not_started"
)

// ReportedCodes are the failures that the runner may report.
func ReportedCodes() []Code {
	return []Code{CodeMissingMain, CodeSyntaxError, CodeArgsMismatch, CodeInputTooLarge, CodeNotSerializable, CodeException, CodeExit}
}

// Reported reports whether the runner inside the sandbox may say this code.
func (c Code) Reported() bool { return slices.Contains(ReportedCodes(), c) }

// The two sentences that clients compare word for word.
const (
	MessageMissingMain     = "Script must contain a 'def main():' function"
	MessageNotSerializable = "main() must return a JSON-serializable object"
)

// MessageNotStarted goes with CodeNotStarted.
const MessageNotStarted = "nobody could start the job by its start deadline; it was dropped and did not run"
