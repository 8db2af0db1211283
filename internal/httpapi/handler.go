// Package httpapi is the HTTP API of Cellblock: routes, checks of requests, and response bodies.
// The contract is api/openapi.yaml.
//
// A request passes the middleware in the order of Handler.routes, then one method of Handler, which
// calls Jobs and writes one response. Every error goes through Handler.fail; status.go has the one
// table from codes to statuses.
package httpapi

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
	"cellblock/internal/telemetry"
)

// Jobs is the job side as this package needs it. Its errors are a *jobs.Error, which may be shown
// to a client, or the context's. The caller releases the records that Execute, Get and Cancel
// return when it no longer uses them.
type Jobs interface {
	// Submit accepts a job and returns its id and state without waiting for a worker. Errors:
	// CodeUnavailable while Redis is away, CodeQueueFull, CodeIdempotencyMismatch.
	Submit(ctx context.Context, request jobs.Request, requestID string) (jobs.Record, error)
	// Execute accepts a job and returns its record once it has ended or wait has passed. If ctx
	// ends first, it returns ctx's error, and a record with the ID if the job was accepted; the job
	// goes on unless it is abandoned. Errors: CodeUnavailable if Redis is away, or there is no
	// worker and the job was withdrawn; CodeQueueFull, CodeIdempotencyMismatch.
	Execute(ctx context.Context, request jobs.Request, requestID string, wait time.Duration) (jobs.Record, error)
	// Abandon withdraws a job whose client has hung up and cannot know its id. It reports whether
	// it did: a job that has started goes on. ctx may have ended.
	Abandon(ctx context.Context, id string) (withdrawn bool, err error)
	// Get returns a job's record once it has ended or wait has passed; with wait 0 at once. Errors:
	// CodeNotFound, CodeUnavailable.
	Get(ctx context.Context, id string, wait time.Duration) (jobs.Record, error)
	// Describe is Get for a response that needs neither the result nor the output: of the outcome,
	// the record has only the files. It need not be released.
	Describe(ctx context.Context, id string, wait time.Duration) (jobs.Record, error)
	// Cancel ends a job that has not ended. It returns the whole record, or only the id and state
	// if the job is running; its worker then kills it. Errors: CodeAlreadyFinished, CodeNotFound,
	// CodeUnavailable.
	Cancel(ctx context.Context, id string) (jobs.Record, error)
	// List returns a page of jobs, newest first. Errors: CodeUnavailable.
	List(ctx context.Context, query jobs.ListQuery) (jobs.Page, error)
	// Ready returns the number of workers, or an error while jobs cannot be accepted.
	Ready(ctx context.Context) (workers int, err error)
}

// Files stores the files of jobs.
type Files interface {
	// Open returns the content under a file's key; the caller closes it. Errors: CodeNotFound.
	Open(ctx context.Context, key string) (io.ReadSeekCloser, error)
}

// Config is what New needs besides the jobs.
type Config struct {
	Settings Settings
	// SyncWait is how long a synchronous request is held, from its arrival.
	SyncWait time.Duration
	// Limits are the workers' limits; a request may ask for lower ones.
	Limits jobs.Limits
	// StartDeadline is the longest start_within that a request may ask for.
	StartDeadline time.Duration
	// CheckCallback returns CodeInvalidRequest for a callback_url that cannot be delivered to. nil
	// refuses all: there is no signing key.
	CheckCallback func(callbackURL string) *jobs.Error
	Files         Files
	Live          Live
	Batches       Batches
	Metrics       *telemetry.APIMetrics
	Logger        *slog.Logger
}

// Handler serves the API. Drain ends its waits.
type Handler struct {
	jobs     Jobs
	settings Settings
	tokenSum [sha256.Size]byte
	syncWait time.Duration
	limits   jobs.Limits
	latest   time.Duration // StartDeadline
	callback func(callbackURL string) *jobs.Error
	files    Files
	live     Live
	batches  Batches
	room     room
	ends     ends
	metrics  *telemetry.APIMetrics
	logger   *slog.Logger
	router   http.Handler
	draining context.Context //nolint:containedctx // not a request's: it is the handler's own state, ended by Drain
	drain    context.CancelFunc
}

var _ api.ServerInterface = (*Handler)(nil)

// New returns the handler of the whole API.
func New(service Jobs, config Config) *Handler {
	h := &Handler{
		jobs:     service,
		settings: config.Settings,
		tokenSum: sha256.Sum256([]byte(config.Settings.Token)),
		syncWait: config.SyncWait,
		limits:   config.Limits,
		latest:   config.StartDeadline,
		callback: config.CheckCallback,
		files:    config.Files,
		live:     config.Live,
		batches:  config.Batches,
		room:     newRoom(),
		metrics:  config.Metrics,
		logger:   config.Logger,
	}
	h.draining, h.drain = context.WithCancel(context.Background())
	h.router = h.routes()
	return h
}

// ServeHTTP serves one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.router.ServeHTTP(w, r) }

// Drain ends the handler's work: waiting requests are answered with the job's current state, new
// jobs are refused with CodeUnavailable, and the readiness check fails. It returns at once and may
// be called again.
func (h *Handler) Drain() { h.drain() }

// errDraining is the cause of a wait that Drain ended.
var errDraining = errors.New("the server is shutting down")

// waiting returns the context of a wait: r's, also ended by Drain. The caller calls stop.
func (h *Handler) waiting(r *http.Request) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	unhook := context.AfterFunc(h.draining, func() { cancel(errDraining) })
	return ctx, func() {
		unhook()
		cancel(nil)
	}
}

// drained reports whether Drain ended ctx, which waiting returned.
func drained(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errDraining) }

// shuttingDown returns the error for new work during a drain.
func shuttingDown() *jobs.Error {
	return &jobs.Error{Code: jobs.CodeUnavailable, Message: errDraining.Error(), RetryAfterSeconds: 1}
}
