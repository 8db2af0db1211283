// Package httpapi is the HTTP side of Cellblock: routes, checks of what comes
// in, and the wording of what goes out. The contract is api/openapi.yaml.
//
// A request goes through the middleware in the order of Handler.routes, then
// to one method of Handler, which asks Jobs and writes one answer. Whatever
// fails ends in Handler.fail, and the one table that gives a code its status is
// in status.go.
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

// Jobs is what this package needs of the job side. Its errors are *jobs.Error
// for what a client is told, or the context's. The records that Execute, Get and
// Cancel give are released once they are not used any more.
type Jobs interface {
	// Submit accepts a job and gives its id and state, without waiting for
	// anything to take it up. CodeUnavailable while Redis is away, CodeQueueFull,
	// CodeIdempotencyMismatch.
	Submit(ctx context.Context, request jobs.Request, requestID string) (jobs.Record, error)
	// Execute accepts a job and gives its record once it ended or wait has
	// passed, whichever is first. When ctx ends before that, it gives ctx's
	// error, with the ID in the record if the job was accepted; the job goes on
	// unless it is abandoned.
	// CodeUnavailable if Redis is away, or no worker is there and the job was
	// withdrawn. CodeQueueFull, CodeIdempotencyMismatch.
	Execute(ctx context.Context, request jobs.Request, requestID string, wait time.Duration) (jobs.Record, error)
	// Abandon withdraws a job whose client has hung up and cannot know its id, and
	// reports whether it did: one that has started goes on. ctx may have ended.
	Abandon(ctx context.Context, id string) (withdrawn bool, err error)
	// Get gives a job's record once it ended or wait has passed; with wait 0 at
	// once. CodeNotFound, CodeUnavailable.
	Get(ctx context.Context, id string, wait time.Duration) (jobs.Record, error)
	// Describe is Get for an answer that has neither the result nor the output: of
	// the outcome, the record has the files only. It need not be released.
	Describe(ctx context.Context, id string, wait time.Duration) (jobs.Record, error)
	// Cancel ends a job that has not ended. It gives its id and state, and the
	// whole record unless the job is running, which its worker then kills.
	// CodeAlreadyFinished, CodeNotFound, CodeUnavailable.
	Cancel(ctx context.Context, id string) (jobs.Record, error)
	// List gives a page of jobs, newest first. CodeUnavailable.
	List(ctx context.Context, query jobs.ListQuery) (jobs.Page, error)
	// Ready fails while jobs cannot be accepted, and else counts the workers.
	Ready(ctx context.Context) (workers int, err error)
}

// Files has what jobs left.
type Files interface {
	// Open gives the content that lies under a file's key; the caller closes it.
	// CodeNotFound.
	Open(ctx context.Context, key string) (io.ReadSeekCloser, error)
}

// Config is what New needs beside the jobs.
type Config struct {
	Settings Settings
	// SyncWait is how long a synchronous request is held, from its arrival.
	SyncWait time.Duration
	// Limits are the workers'; a request may ask for lower ones.
	Limits jobs.Limits
	// StartDeadline is the longest start_within that a request may name.
	StartDeadline time.Duration
	// CheckCallback refuses a callback_url that nothing could be sent to, with
	// CodeInvalidRequest. nil refuses all: there is nothing to sign with.
	CheckCallback func(callbackURL string) *jobs.Error
	Files         Files
	Live          Live
	Batches       Batches
	Metrics       *telemetry.APIMetrics
	Logger        *slog.Logger
}

// Handler answers the API's requests. Drain ends its waits.
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

// New makes the handler of the whole API.
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

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.router.ServeHTTP(w, r) }

// Drain makes the handler end: requests that wait for a job are answered with
// where the job stands, new jobs are refused with CodeUnavailable, and the
// readiness check fails. It returns at once and may be called again.
func (h *Handler) Drain() { h.drain() }

// errDraining is why a wait ended when Drain was called.
var errDraining = errors.New("the server is shutting down")

// waiting gives the context of a wait: r's, ended by Drain as well. The caller
// calls stop.
func (h *Handler) waiting(r *http.Request) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	unhook := context.AfterFunc(h.draining, func() { cancel(errDraining) })
	return ctx, func() {
		unhook()
		cancel(nil)
	}
}

// drained tells whether ctx, made by waiting, was ended by Drain.
func drained(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errDraining) }

// shuttingDown is what new work is refused with.
func shuttingDown() *jobs.Error {
	return &jobs.Error{Code: jobs.CodeUnavailable, Message: errDraining.Error(), RetryAfterSeconds: 1}
}
