package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"cellblock/internal/audit"
	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
	"cellblock/internal/telemetry"
)

// requestState is one request with its response: the ResponseWriter for handlers, and the facts for the access log. It
// is used by one goroutine.
type requestState struct {
	http.ResponseWriter
	// transfer counts what the client sends and reads. It is cut if others wait for memory and the client is too slow.
	transfer  *membudget.Transfer
	requestID string
	arrivedAt time.Time
	// formReadAt is when a form, which may arrive slowly, was complete; zero for other requests.
	formReadAt time.Time
	// jobID is the job that the request concerns, once known.
	jobID string
	// caller is who makes the request, once known.
	caller jobs.Caller
	// status is 0 until the response header is written.
	status int
	// audit is what the audit log is to contain of the request.
	audit audit.Entry
	// aborted is set if the response broke off; resumable is set too if that is no failure: the client sees that the
	// response is incomplete and requests the rest.
	aborted, resumable bool
}

// statusClientGone is nginx's status, in the log and the metrics, for a client that disconnected before its response.
// It is never sent.
const statusClientGone = 499

type requestStateKey struct{}

// requestStateOf returns the state that the middleware trackRequest has put into the request's context.
func requestStateOf(r *http.Request) *requestState {
	s, _ := r.Context().Value(requestStateKey{}).(*requestState)
	return s
}

// waitStart returns the time from which the client's wait counts.
func (s *requestState) waitStart() time.Time {
	if !s.formReadAt.IsZero() {
		return s.formReadAt
	}
	return s.arrivedAt
}

// WriteHeader records the status and sets the deadline for the client to read the response.
func (s *requestState) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
		// Not all writers support deadlines; then the server's own applies.
		_ = http.NewResponseController(s.ResponseWriter).SetWriteDeadline(time.Now().Add(responseTimeout))
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write writes in small steps, so that a client that reads slowly is distinguished from one that does not read. It
// returns errTooSlow if the request was cut.
func (s *requestState) Write(p []byte) (written int, err error) {
	if s.status == 0 {
		s.WriteHeader(http.StatusOK)
	}
	for {
		step := p[written:min(len(p), written+membudget.StepBytes)]
		n, err := s.writeStep(step)
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

func (s *requestState) writeStep(p []byte) (n int, err error) {
	ok := s.transfer.Begin(false)
	defer func() { s.transfer.End(n) }()
	if !ok {
		return 0, errTooSlow
	}
	n, err = s.ResponseWriter.Write(p)
	return n, err
}

// FlushError sends what was written. It is a step of the transfer too: small writes wait for the client here.
func (s *requestState) FlushError() error {
	ok := s.transfer.Begin(false)
	defer s.transfer.End(0)
	if !ok {
		return errTooSlow
	}
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// Unwrap returns the inner writer, for http.ResponseController.
func (s *requestState) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// finalStatus returns the status for the log and the metrics, after the response.
func (s *requestState) finalStatus() int {
	switch {
	case s.aborted && !s.resumable:
		return http.StatusInternalServerError
	case s.status == 0:
		return statusClientGone
	default:
		return s.status
	}
}

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// trackRequest creates the requestState with the request's arrival time and its id, which is the client's own if that
// is safe to log.
func (h *Handler) trackRequest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if !requestIDPattern.MatchString(id) {
			id = uuid.NewString()
		}
		w.Header().Set("X-Request-Id", id)
		state := &requestState{ResponseWriter: w, requestID: id, arrivedAt: time.Now()}
		state.transfer = membudget.NewTransfer(clientOf(r), func(reading bool) { h.cut(w, id, reading) })
		defer state.transfer.Close()
		ctx := audit.WithEntry(context.WithValue(r.Context(), requestStateKey{}, state), &state.audit)
		r = r.WithContext(membudget.WithHolder(ctx, state.transfer))
		if r.Body != http.NoBody {
			r.Body = &trackedBody{ReadCloser: r.Body, transfer: state.transfer}
		}
		next.ServeHTTP(state, r)
	})
}

// errTooSlow is the error of a read or a write for a client that was too slow while others waited for memory.
var errTooSlow = errors.New("the client was too slow while others waited for memory")

// cut makes the read of a body, or the write of a response, fail with a timeout.
func (h *Handler) cut(w http.ResponseWriter, requestID string, reading bool) {
	controller, direction := http.NewResponseController(w), "response"
	// Not all connections support deadlines; then the server's own applies.
	if reading {
		direction = "body"
		_ = controller.SetReadDeadline(time.Now())
	} else {
		_ = controller.SetWriteDeadline(time.Now())
	}
	h.metrics.ObserveCut(direction)
	h.logger.Info("slow client cut: others wait for its memory", "of", direction, "request_id", requestID)
}

// trackedBody is a request's body, whose reads are steps of the transfer.
type trackedBody struct {
	io.ReadCloser
	transfer *membudget.Transfer
}

// Read returns errTooSlow if the request was cut.
func (b *trackedBody) Read(p []byte) (n int, err error) {
	ok := b.transfer.Begin(true)
	defer func() { b.transfer.End(n) }()
	if !ok {
		return 0, errTooSlow
	}
	n, err = b.ReadCloser.Read(p[:min(len(p), membudget.StepBytes)])
	if err != nil && !errors.Is(err, io.EOF) && b.transfer.WasCut() {
		err = errTooSlow
	}
	return n, err
}

// observe writes the access log and the metrics after the response.
func (h *Handler) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := requestStateOf(r)
		defer func() {
			route, method, took := routeName(r), methodName(r.Method), time.Since(state.arrivedAt)
			h.metrics.ObserveRequest(route, method, state.finalStatus(), took)
			h.metrics.ObserveTenantRequest(string(state.caller.Tenant), state.finalStatus())
			level := slog.LevelInfo
			if !isJobAPI(route) {
				level = slog.LevelDebug // probes and scrapes are requested every few seconds
			}
			attrs := []slog.Attr{
				slog.String("method", method), slog.String("route", route), slog.Int("status", state.finalStatus()),
				telemetry.Milliseconds("ms", took), slog.String("request_id", state.requestID),
			}
			if state.jobID != "" {
				attrs = append(attrs, slog.String("job_id", state.jobID))
			}
			if caller := state.caller; caller.KeyID != "" {
				attrs = append(attrs, slog.String("tenant", string(caller.Tenant)), slog.String("key_id", caller.KeyID))
			}
			h.logger.LogAttrs(r.Context(), level, "request", attrs...)
		}()
		next.ServeHTTP(w, r)
	})
}

// recoverPanics responds to a panic with CodeInternal. If the response has begun, it breaks the connection instead, so
// that the client does not take a part for the whole.
func (h *Handler) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			state := requestStateOf(r)
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) || state.status != 0 {
				state.aborted = state.status != 0
				panic(http.ErrAbortHandler)
			}
			h.writeError(w, r, fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}()
		next.ServeHTTP(w, r)
	})
}

// setFixedHeaders sets the headers of every response: no caching, no guessing of types, and no embedding, such as of an
// image, in pages of other origins. Pages of CORS_ORIGINS may embed by CORS (crossorigin="anonymous").
func setFixedHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		disableCaching(w)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

func disableCaching(w http.ResponseWriter) { w.Header().Set("Cache-Control", "no-store") }

// isJobAPI reports whether a path is part of the job API. The others are probes, metrics and the documentation.
func isJobAPI(path string) bool { return !needsNoToken(path) && path != "/metrics" }

// joinPrefer joins several Prefer headers into one, which is equivalent (RFC 7240).
func joinPrefer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lines := r.Header.Values("Prefer"); len(lines) > 1 {
			r.Header.Set("Prefer", strings.Join(lines, ", "))
		}
		next.ServeHTTP(w, r)
	})
}

// routeName returns the route's pattern, or "other", which keeps invented paths out of logs and metrics.
func routeName(r *http.Request) string {
	if pattern := chi.RouteContext(r.Context()).RoutePattern(); pattern != "" && pattern != "/*" {
		return pattern
	}
	return "other"
}

func methodName(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions,
		http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	default:
		return "other"
	}
}
