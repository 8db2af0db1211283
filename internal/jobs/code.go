package jobs

import "slices"

// Code is an error code for programs. Codes are part of the HTTP contract: they are never renamed, and docs/api.md
// lists all of them.
type Code string

// Refused before a job exists.
const (
	CodeInvalidRequest       Code = "invalid_request"
	CodeUnauthorized         Code = "unauthorized"
	CodeForbidden            Code = "forbidden"
	CodeCrossOrigin          Code = "cross_origin"
	CodeHostNotAllowed       Code = "host_not_allowed"
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
	// CodeUnknownEnvironment rejects a request for an environment that there is not.
	CodeUnknownEnvironment Code = "unknown_environment"
	// CodeMissingPackages rejects a script whose inline metadata asks for packages that no environment has.
	CodeMissingPackages Code = "missing_packages"
	// CodeFileNotFound rejects a request with an input file that refers to one that does not exist or has expired.
	CodeFileNotFound Code = "file_not_found"
	// CodeStorageFull rejects an upload for which the bound on all stored files leaves no space.
	CodeStorageFull Code = "storage_full"
	// CodeRateLimited rejects a request of a tenant that sends too many of them per second.
	CodeRateLimited Code = "rate_limited"
	// CodeQuotaExceeded rejects a job of a tenant with too many open jobs, or whose CPU time of the day is used up.
	CodeQuotaExceeded Code = "quota_exceeded"
)

// Errors about an existing job.
const (
	// CodeAlreadyFinished rejects the cancellation of a job that has ended.
	CodeAlreadyFinished Code = "already_finished"
)

// Reported: claims of the runner from inside the sandbox, and CodeInputTooLarge. User code can forge these for its own
// job, and no others.
const (
	CodeMissingMain     Code = "missing_main"
	CodeSyntaxError     Code = "syntax_error"
	CodeArgsMismatch    Code = "args_mismatch"
	CodeNotSerializable Code = "not_serializable"
	CodeException       Code = "exception"
	CodeExit            Code = "exit"
)

// Enforced: based on evidence from outside the sandbox. They take precedence over any report.
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
	// CodeNotStarted ends a job that was not started by its start deadline.
	CodeNotStarted Code = "not_started"
)

// ReportedCodes returns the failures that the runner may report.
func ReportedCodes() []Code {
	return []Code{
		CodeMissingMain, CodeSyntaxError, CodeArgsMismatch, CodeInputTooLarge, CodeNotSerializable,
		CodeException, CodeExit,
	}
}

// Reported reports whether the runner inside the sandbox may use this code.
func (c Code) Reported() bool { return slices.Contains(ReportedCodes(), c) }

// The two messages that clients compare word for word.
const (
	MessageMissingMain     = "Script must contain a 'def main():' function"
	MessageNotSerializable = "main() must return a JSON-serializable object"
)

// MessageNotStarted is the message of CodeNotStarted.
const MessageNotStarted = "no worker could start the job by its start deadline; it was withdrawn and did not run"
