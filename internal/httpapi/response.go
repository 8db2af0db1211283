package httpapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/api"
	"cellblock/internal/jobs"
	"cellblock/internal/sandboxfusion"
)

// encoding keeps a result as the worker checked it, with strings and numbers spelled as they were. It replaces other
// invalid UTF-8 with U+FFFD instead of failing. Maps, such as labels, are sorted, so that a message that is sent again
// is the same.
var encoding = json.JoinOptions(
	json.Deterministic(true),
	jsontext.PreserveRawStrings(true),
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
)

// writeJSON responds with the status and body as JSON.
func (h *Handler) writeJSON(w http.ResponseWriter, r *http.Request, status int, body any) {
	encoded, err := json.Marshal(body, encoding)
	if err != nil {
		switch body.(type) {
		case api.Error, sandboxFusionError:
			panic(err) // writeError would recurse; recoverPanics responds instead
		}
		h.writeError(w, r, err)
		return
	}
	encoded = append(encoded, '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(encoded)))
	w.WriteHeader(status)
	if _, err := w.Write(encoded); err != nil {
		h.logger.DebugContext(r.Context(), "response not read", "error", err, "request_id", requestStateOf(r).requestID)
	}
}

// writeError responds with an error, and logs it if its status is 500 or above. An error that is not a *jobs.Error
// becomes CodeInternal; causes are logged and never sent to the client. If the client has disconnected, writeError
// breaks the connection: returning without a response would send an empty 200.
func (h *Handler) writeError(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler)
	}
	known, state := jobs.AsError(err), requestStateOf(r)
	state.audit.SetOutcome(string(known.Code))
	status := statusOf(known.Code)
	if status >= http.StatusInternalServerError {
		level := slog.LevelError
		if known.Code == jobs.CodeUnavailable || known.Code == jobs.CodeStorageFull {
			level = slog.LevelWarn
		}
		h.logger.Log(r.Context(), level, "request failed", "code", string(known.Code), "error", known,
			"request_id", state.requestID, "job_id", state.jobID)
	}
	setRetryAfter(w, known.Code, known.RetryAfterSeconds)
	if known.Limit != nil && known.Limit.Name == jobs.LimitCPUPerDay {
		setRateLimit(w, cpuPolicy, 0, known.RetryAfterSeconds)
	}
	if isSandboxFusion(r) {
		response := sandboxfusion.ErrorResponse(known.Message)
		h.writeJSON(w, r, sandboxFusionStatus(known.Code), sandboxFusionError{response, map[string]string{}})
		return
	}
	h.writeJSON(w, r, status, api.Error{
		Error: known.Message, Code: api.ErrorCode(known.Code), JobID: state.jobID, Limit: limitBody(known.Limit),
	})
}

// defaultRetryAfter is the Retry-After of a transient error without one, in seconds.
const defaultRetryAfter = 5

// transientCodes are those of errors that a repetition may solve.
var transientCodes = []jobs.Code{
	jobs.CodeUnavailable, jobs.CodeQueueFull, jobs.CodeNotStarted, jobs.CodeRateLimited, jobs.CodeQuotaExceeded,
}

// setRetryAfter sets the header Retry-After. With seconds 0, only transient errors have one.
func setRetryAfter(w http.ResponseWriter, code jobs.Code, seconds int) {
	if slices.Contains(transientCodes, code) {
		seconds = cmp.Or(seconds, defaultRetryAfter)
	}
	if seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
}

// statuses maps each code to its HTTP status; there is no other such table.
var statuses = map[jobs.Code]int{
	jobs.CodeInvalidRequest:       http.StatusBadRequest,
	jobs.CodeFileNotFound:         http.StatusBadRequest,
	jobs.CodeUnknownEnvironment:   http.StatusBadRequest,
	jobs.CodeMissingMain:          http.StatusBadRequest,
	jobs.CodeSyntaxError:          http.StatusBadRequest,
	jobs.CodeArgsMismatch:         http.StatusBadRequest,
	jobs.CodeUnauthorized:         http.StatusUnauthorized,
	jobs.CodeForbidden:            http.StatusForbidden,
	jobs.CodeCrossOrigin:          http.StatusForbidden,
	jobs.CodeHostNotAllowed:       http.StatusForbidden,
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
	jobs.CodeMissingPackages:      http.StatusUnprocessableEntity,
	jobs.CodeIdempotencyMismatch:  http.StatusUnprocessableEntity,
	jobs.CodeQueueFull:            http.StatusTooManyRequests,
	jobs.CodeRateLimited:          http.StatusTooManyRequests,
	jobs.CodeQuotaExceeded:        http.StatusTooManyRequests,
	jobs.CodeWorkerLost:           http.StatusInternalServerError,
	jobs.CodeInternal:             http.StatusInternalServerError,
	jobs.CodeNotStarted:           http.StatusServiceUnavailable,
	jobs.CodeUnavailable:          http.StatusServiceUnavailable,
	jobs.CodeStorageFull:          http.StatusInsufficientStorage,
}

// statusOf returns a code's status; 500 for a code that is not in the table.
func statusOf(code jobs.Code) int {
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusInternalServerError
}

const (
	// heartbeat is how often something is sent on a stream, so that no client or proxy takes the connection for dead.
	heartbeat = 15 * time.Second
	// writeTimeout is how long a client may take to read one chunk of a stream.
	writeTimeout = 30 * time.Second
	// maxChunk is how many bytes of a stream are collected before they are written.
	maxChunk = 64 << 10
)

// encodeLine returns JSON without line breaks. A result may have CR and LF between its values; neither may occur within
// a line or an event.
func encodeLine(body any) ([]byte, error) {
	data, err := json.Marshal(body, encoding)
	for i, c := range data {
		if c == '\n' || c == '\r' {
			data[i] = ' '
		}
	}
	return data, err
}

// beginStream sets the headers of a stream and returns true, unless the response has begun.
func beginStream(w http.ResponseWriter, r *http.Request, mediaType string) bool {
	if requestStateOf(r).status != 0 {
		return false
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("X-Accel-Buffering", "no") // disables buffering in nginx and other proxies
	return true
}

// flush writes a chunk of a stream and sends it.
func flush(w http.ResponseWriter, chunk []byte) error {
	controller := http.NewResponseController(w)
	if _, err := w.Write(chunk); err != nil {
		return err
	}
	// The next chunk has a deadline of its own, however late it comes: the client has read everything so far.
	err := controller.Flush()
	_ = controller.SetWriteDeadline(time.Now().Add(heartbeat + writeTimeout))
	return err
}

// timestamp returns a time in RFC 3339, in UTC with milliseconds.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// timestampOrNull returns nil for the zero time.
func timestampOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := timestamp(t)
	return &s
}

// jobBody returns a job as all responses encode it: POST /execute, GET /jobs/{id}, the last event, a line of a batch, a
// webhook.
func jobBody(record jobs.Record, files []api.OutputFile) api.Job {
	body := api.Job{
		JobID:       record.ID,
		Status:      api.JobStatus(record.State),
		CreatedAt:   timestamp(record.CreatedAt),
		StartedAt:   timestampOrNull(record.StartedAt),
		FinishedAt:  timestampOrNull(record.FinishedAt),
		Entry:       string(record.Entry),
		Environment: record.Environment,
		Labels:      record.Labels,
		Callback:    webhookBody(record.Webhook),
		Tenant:      tenantBody(record.Tenant),
		Limits:      limitsBody(record.Limits),
	}
	o := record.Outcome
	if o == nil {
		return body
	}
	usage, truncated := usageBody(o.Usage), api.Truncated(o.Truncated)
	body.Stdout, body.Stderr = &o.Stdout, &o.Stderr
	body.Usage, body.Truncated, body.Files = &usage, &truncated, files
	body.FilesOmitted, body.Notes = omittedBody(o), o.Notes
	body.Displays, body.DisplaysOmitted = displaysBody(o.Displays), omittedDisplaysBody(o.DisplaysOmitted)
	body.ExitCode = o.ExitCode
	if o.Failure != nil {
		return withFailure(body, o.Failure)
	}
	body.Result = resultOf(o)
	return body
}

// tenantBody returns the owner of a job as responses encode it: "" for the operator, which most services have only.
func tenantBody(tenant jobs.Tenant) string {
	if tenant == jobs.Operator {
		return ""
	}
	return string(tenant)
}

// withFailure returns body with the details of a failure.
func withFailure(body api.Job, f *jobs.Failure) api.Job {
	body.Error, body.Code = f.Message, api.ErrorCode(f.Code)
	body.Limit, body.Detail, body.Hint = limitBody(f.Limit), f.Detail, f.Hint
	body.Line, body.Column, body.Text = f.Line, f.Column, f.Text
	body.Signal, body.Traceback = f.Signal, f.Traceback
	if f.ExitCode != nil {
		body.ExitCode = f.ExitCode
	}
	return body
}

// resultOf returns the result, or null if there is none, so that the field is always present.
func resultOf(o *jobs.Outcome) jsontext.Value {
	if len(o.Result) == 0 {
		return jsontext.Value("null")
	}
	return o.Result
}

func usageBody(u jobs.Usage) api.Usage {
	return api.Usage{
		QueuedMs: u.QueuedMS, PrepareMs: u.PrepareMS, RunMs: u.RunMS, CPUMs: u.CPUMS,
		MemoryPeakBytes: u.MemoryPeakBytes,
	}
}

func limitBody(l *jobs.LimitHit) *api.Limit {
	if l == nil {
		return nil
	}
	return &api.Limit{Name: l.Name, Value: l.Value, Unit: l.Unit}
}

// omittedBody describes the files that exceeded a limit.
func omittedBody(o *jobs.Outcome) []api.OmittedFile {
	bodies := make([]api.OmittedFile, 0, len(o.FilesOmitted))
	for _, file := range o.FilesOmitted {
		bodies = append(bodies, api.OmittedFile{Name: file.Name, Size: file.Size, Limit: *limitBody(&file.Limit)})
	}
	return bodies
}
