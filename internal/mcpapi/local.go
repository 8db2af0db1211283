package mcpapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"cellblock/api"
	"cellblock/internal/audit"
	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
)

// Jobs is what Local needs of the dispatcher; its methods are described in internal/httpapi.
type Jobs interface {
	Execute(
		ctx context.Context, request jobs.Request, requestID string, wait time.Duration, stored func(),
	) (record jobs.Record, release func(), err error)
	Get(ctx context.Context, id string, wait time.Duration) (record jobs.Record, release func(), err error)
	Describe(ctx context.Context, id string, wait time.Duration) (jobs.Record, error)
	Cancel(ctx context.Context, id string) (record jobs.Record, release func(), err error)
	Environments(ctx context.Context) ([]jobs.EnvironmentStatus, error)
}

// Live streams the events of jobs as they happen.
type Live interface {
	Watch(ctx context.Context, id string, from jobs.Position, idle time.Duration, send func([]jobs.Event) error) error
}

// Files stores the files of jobs.
type Files interface {
	Open(ctx context.Context, key string) (io.ReadSeekCloser, error)
}

// LocalConfig has the dependencies of a Local.
type LocalConfig struct {
	Jobs  Jobs
	Live  Live
	Files Files
	// Decode decodes and checks the body of POST /execute, as the API does.
	Decode func(ctx context.Context, body []byte) (jobs.Request, error)
	// Encode returns a job as the API's responses have it.
	Encode func(ctx context.Context, record jobs.Record) api.Job
	// Retention is how long the record of an asynchronous job is kept.
	Retention time.Duration
	Logger    *slog.Logger
}

// Local is the Service in the API's own process.
type Local struct {
	config LocalConfig

	draining context.Context //nolint:containedctx // its end is that of the waits
	drain    context.CancelFunc
}

// NewLocal returns the service for what config has.
func NewLocal(config LocalConfig) *Local {
	l := &Local{config: config}
	l.draining, l.drain = context.WithCancel(context.Background())
	return l
}

const (
	// cancelTimeout bounds the cancellation of a job whose client has disconnected.
	cancelTimeout = 5 * time.Second
	// watchIdle is how often a watch without events is checked.
	watchIdle = 15 * time.Second
)

// errDraining is the error for new jobs after Drain.
var errDraining = &jobs.Error{
	Code: jobs.CodeUnavailable, Message: "the server is shutting down", RetryAfterSeconds: 1,
}

// waitContext returns a context for a wait, which Drain ends too. The caller calls stop.
func (l *Local) waitContext(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(l.draining, cancel)
	return ctx, func() {
		unhook()
		cancel()
	}
}

func nothing() {}

// Run runs a job as Service describes.
func (l *Local) Run(
	ctx context.Context, request Request, wait time.Duration, output func(text string),
) (*api.Job, func(), error) {
	if l.draining.Err() != nil {
		return nil, nothing, errDraining
	}
	body, err := request.Body()
	if err != nil {
		return nil, nothing, err
	}
	decoded, err := l.config.Decode(ctx, body)
	if err != nil {
		return nil, nothing, err
	}
	// A model refers to a job later, as does a client that did not wait; but it waits now.
	decoded.Async, decoded.Priority = true, jobs.PriorityHigh
	decoded.ID = jobs.NewID()
	waiting, stop := l.waitContext(ctx)
	defer stop()
	stopWatch := nothing
	record, release, err := l.config.Jobs.Execute(waiting, decoded, callOf(ctx).requestID, wait, func() {
		stopWatch = l.watch(waiting, decoded.ID, output)
	})
	stopWatch()
	audit.Of(ctx).SetJob(record.ID)
	if err != nil && record.ID != "" && waiting.Err() != nil {
		release()
		return l.afterWait(ctx, record.ID)
	}
	switch {
	case errors.Is(err, membudget.ErrExhausted):
		err = nil // the job has run, and its result can be read later
	case err != nil && record.ID != "":
		err = withJobID(err, record.ID)
	}
	return l.encoded(ctx, record, release, err)
}

// withJobID returns the error of a call that has accepted a job, with the job's id in its sentence.
func withJobID(err error, id string) error {
	known := *jobs.AsError(err)
	known.Message += "; the job is " + id + ", whose state get_job returns"
	return &known
}

// afterWait returns the current state of a job whose wait has ended early: the server shuts down, or the client has
// disconnected, and the job is cancelled.
func (l *Local) afterWait(ctx context.Context, id string) (*api.Job, func(), error) {
	if ctx.Err() == nil {
		record, release, err := l.config.Jobs.Get(ctx, id, 0)
		if err != nil {
			record, err = jobs.Record{ID: id, State: jobs.StateQueued}, nil
		}
		return l.encoded(ctx, record, release, err)
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer cancel()
	_, release, err := l.config.Jobs.Cancel(bounded, id)
	release()
	if err != nil && jobs.CodeOf(err) != jobs.CodeAlreadyFinished {
		l.config.Logger.WarnContext(ctx, "cannot cancel job after hang-up", "job_id", id, "error", err)
	}
	return nil, nothing, ctx.Err()
}

// watch passes a job's standard output to output until the job ends or stop is called. stop waits for its goroutine.
func (l *Local) watch(ctx context.Context, id string, output func(text string)) (stop func()) {
	if output == nil {
		return nothing
	}
	ctx, cancel := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		// Its errors need no report: the answer has the output.
		_ = l.config.Live.Watch(ctx, id, jobs.Position{}, watchIdle, func(events []jobs.Event) error {
			for _, event := range events {
				if event.Output.Stream == jobs.Stdout && event.Output.Text != "" {
					output(event.Output.Text)
				}
			}
			return ctx.Err()
		})
	})
	return func() {
		cancel()
		watcher.Wait()
	}
}

// encoded returns a record as a job, or the error.
func (l *Local) encoded(
	ctx context.Context, record jobs.Record, release func(), err error,
) (*api.Job, func(), error) {
	if err != nil {
		return nil, release, err
	}
	job := l.config.Encode(ctx, record)
	return &job, release, nil
}

// Get returns a job as Service describes.
func (l *Local) Get(ctx context.Context, id string, wait time.Duration) (*api.Job, func(), error) {
	waiting, stop := l.waitContext(ctx)
	defer stop()
	record, release, err := l.config.Jobs.Get(waiting, id, wait)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		release()
		record, release, err = l.config.Jobs.Get(ctx, id, 0)
	}
	return l.encoded(ctx, record, release, err)
}

// Cancel cancels a job as Service describes.
func (l *Local) Cancel(ctx context.Context, id string) (*api.Job, func(), error) {
	record, release, err := l.config.Jobs.Cancel(ctx, id)
	return l.encoded(ctx, record, release, err)
}

// Open opens a file as Service describes.
func (l *Local) Open(ctx context.Context, id, name string) (*File, error) {
	record, err := l.config.Jobs.Describe(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	if record.Outcome != nil {
		for _, file := range record.Outcome.Files {
			if file.Name != name {
				continue
			}
			content, err := l.config.Files.Open(ctx, file.Key)
			if err != nil {
				return nil, err
			}
			return &File{Name: name, Size: file.Size, MediaType: file.MediaType, Content: content}, nil
		}
	}
	return nil, jobs.NotFound("job or file")
}

// Environments returns the environments as Service describes.
func (l *Local) Environments(ctx context.Context) ([]jobs.EnvironmentStatus, error) {
	return l.config.Jobs.Environments(ctx)
}

// BaseURL returns the URL by which the client called.
func (l *Local) BaseURL(ctx context.Context) string { return callOf(ctx).baseURL }

// Retention returns how long jobs are kept at least.
func (l *Local) Retention() time.Duration { return l.config.Retention }
