package httpapi

import (
	"net/http"

	"cellblock/internal/jobs"
)

// statuses maps each code to its HTTP status; there is no other such table.
var statuses = map[jobs.Code]int{
	jobs.CodeInvalidRequest:       http.StatusBadRequest,
	jobs.CodeMissingMain:          http.StatusBadRequest,
	jobs.CodeSyntaxError:          http.StatusBadRequest,
	jobs.CodeArgsMismatch:         http.StatusBadRequest,
	jobs.CodeUnauthorized:         http.StatusUnauthorized,
	jobs.CodeNotFound:             http.StatusNotFound,
	jobs.CodeMethodNotAllowed:     http.StatusMethodNotAllowed,
	jobs.CodeCancelled:            http.StatusConflict,
	jobs.CodeAlreadyFinished:      http.StatusConflict,
	jobs.CodeScriptTooLarge:       http.StatusRequestEntityTooLarge,
	jobs.CodeInputTooLarge:        http.StatusRequestEntityTooLarge,
	jobs.CodeUnsupportedMediaType: http.StatusUnsupportedMediaType,
	jobs.CodePreconditionFailed:   http.StatusPreconditionFailed,
	jobs.CodeRangeNotSatisfiable:  http.StatusRequestedRangeNotSatisfiable,
	jobs.CodeNotSerializable:      http.StatusUnprocessableEntity,
	jobs.CodeException:            http.StatusUnprocessableEntity,
	jobs.CodeExit:                 http.StatusUnprocessableEntity,
	jobs.CodeTimeout:              http.StatusUnprocessableEntity,
	jobs.CodeCPULimit:             http.StatusUnprocessableEntity,
	jobs.CodeMemoryLimit:          http.StatusUnprocessableEntity,
	jobs.CodeProcessLimit:         http.StatusUnprocessableEntity,
	jobs.CodeResultTooLarge:       http.StatusUnprocessableEntity,
	jobs.CodeFilesTooLarge:        http.StatusUnprocessableEntity,
	jobs.CodeKilled:               http.StatusUnprocessableEntity,
	jobs.CodeIdempotencyMismatch:  http.StatusUnprocessableEntity,
	jobs.CodeQueueFull:            http.StatusTooManyRequests,
	jobs.CodeWorkerLost:           http.StatusInternalServerError,
	jobs.CodeInternal:             http.StatusInternalServerError,
	jobs.CodeNotStarted:           http.StatusServiceUnavailable,
	jobs.CodeUnavailable:          http.StatusServiceUnavailable,
}

// statusOf returns a code's status; 500 for a code that is not in the table.
func statusOf(code jobs.Code) int {
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusInternalServerError
}
