// Package dispatch is what the HTTP side calls: it accepts jobs, waits for
// their ends, and gives their records.
//
// Each API replica has one Pub/Sub channel, and every job carries the name of
// the channel of the replica that accepted it. Whoever ends a job publishes its
// id there. Pub/Sub may lose messages, so the ids that somebody waits for are
// also looked up every second and after every (re)subscription.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/semaphore"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redisconn"
	"cellblock/internal/signals"
)

// Settings of the waiting.
type Settings struct {
	SyncWait      time.Duration `name:"sync-wait" env:"SYNC_WAIT" default:"15s" help:"How long (duration) a synchronous request is held, from its arrival, before it is answered 202."`
	NoWorkerGrace time.Duration `name:"no-worker-grace" env:"NO_WORKER_GRACE" default:"3s" help:"How long (duration) a synchronous job waits while no worker is alive before the request that created it withdraws it and is answered 503."`
	StartDeadline time.Duration `name:"start-deadline" env:"START_DEADLINE" default:"1h" help:"How long (duration) a job may wait to be started before it is dropped as not_started, at most 24h. A request may ask for less with start_within."`
	// Limits are what jobs are held to whose requests do not ask for less; zero are the default ones.
	Limits     jobs.Limits `kong:"-"`
	QueueLimit int         `name:"queue-limit" env:"QUEUE_LIMIT" default:"10000" help:"How many jobs may be queued or running before new ones are refused with 429. The last tenth is for those who wait for an answer."`
}

// Validate refuses times that make no sense.
func (s Settings) Validate() error {
	if s.SyncWait <= 0 || s.NoWorkerGrace <= 0 {
		return errors.New("SYNC_WAIT and NO_WORKER_GRACE must be above 0")
	}
	if s.StartDeadline < time.Second || s.StartDeadline > 24*time.Hour {
		return errors.New("START_DEADLINE must be from 1s to 24h")
	}
	if s.QueueLimit < 1 {
		return errors.New("QUEUE_LIMIT must be at least 1")
	}
	return nil
}

const (
	// patience bounds what a client waits for a Redis that answers slowly, for each
	// step, and longer for what is large. One that is silent ends each step sooner:
	// see redisconn.Monitor.
	patience = 15 * time.Second
	// withdrawTimeout bounds what is done for a job that could not be accepted. With
	// it, a client learns within about a second that Redis is away.
	withdrawTimeout = 250 * time.Millisecond
	// acceptsAtOnce is how many jobs are accepted at once. More at a time makes each
	// slower, and none of them is done sooner.
	acceptsAtOnce = 32
	// recheckInterval is how often ids with waiters are looked up.
	recheckInterval = time.Second
	// overtime is how far a running job's wall deadline may lie behind the end of
	// a wait to be waited for all the same; overtimeSlack is what its kill and the
	// storing of its end may take.
	overtime      = time.Second
	overtimeSlack = 500 * time.Millisecond
	// retryAfterSeconds is what a client is told when we cannot take its job.
	retryAfterSeconds = 5
)

// Dispatcher accepts jobs and waits for them. It is safe for concurrent use.
// Close must be called.
type Dispatcher struct {
	store    *store.Store
	producer *queue.Producer
	client   redis.UniversalClient
	topics   *redisconn.Topics
	monitor  *redisconn.Monitor
	settings Settings
	logger   *slog.Logger

	// channel is this replica's own.
	channel string
	// waiters are the calls that wait for jobs, by id.
	waiters signals.Signals
	// turns are the places of those jobs that are being accepted.
	turns *semaphore.Weighted
	// members are the places of those of batches.
	members *semaphore.Weighted
	// workerSeen is when a worker was last known to live, or could have lived
	// for all we know: a time.Duration since born.
	workerSeen atomic.Int64
	born       time.Time
	// fleet are the ceilings of the workers, when last looked.
	fleet atomic.Pointer[[]jobs.AskedLimits]
	// pressure is how full the queue was when last looked.
	pressure atomic.Pointer[pressure]

	stop   context.CancelFunc
	listen sync.WaitGroup
}

// New makes a dispatcher and begins to listen for ends, with client; Redis need not
// be there yet. The store and the producer are on the monitor's client. The caller
// keeps the client, the topics and the monitor, and closes them after the dispatcher.
func New(
	s *store.Store, producer *queue.Producer, client redis.UniversalClient, topics *redisconn.Topics, monitor *redisconn.Monitor,
	settings Settings, logger *slog.Logger,
) *Dispatcher {
	ctx, stop := context.WithCancel(context.Background())
	d := &Dispatcher{
		store:    s,
		producer: producer,
		client:   client,
		topics:   topics,
		monitor:  monitor,
		settings: settings,
		logger:   logger,
		channel:  "cellblock:replies:" + uuid.NewString(),
		born:     time.Now(),
		turns:    semaphore.NewWeighted(acceptsAtOnce),
		members:  semaphore.NewWeighted(membersAtOnce),
		stop:     stop,
	}
	if d.settings.Limits == (jobs.Limits{}) {
		d.settings.Limits = jobs.DefaultLimits()
	}
	d.fleet.Store(&[]jobs.AskedLimits{})
	d.pressure.Store(&pressure{})
	d.listen.Go(func() { d.run(ctx) })
	return d
}

// Close ends the listening and waits for that. Executes and Gets that still
// wait hear nothing from then on.
func (d *Dispatcher) Close() {
	d.stop()
	d.listen.Wait()
}

// withdraw takes a job back that nobody has started, whether or not its client
// is still there. Only the request that created the job calls it, and it does
// nothing once another request was answered with the job.
func (d *Dispatcher) withdraw(ctx context.Context, id, why string) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTimeout)
	defer cancel()
	return d.store.WithdrawUnshared(ctx, id, jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeUnavailable, Message: why}})
}

// Get gives a job's record once it ended or wait has passed; with wait 0 as it
// is. It gives ctx's error if that ends first. CodeNotFound, CodeUnavailable.
func (d *Dispatcher) Get(ctx context.Context, id string, wait time.Duration) (jobs.Record, error) {
	return d.getBy(ctx, id, wait, d.read)
}

// Describe is Get without what may be large: of the outcome, the record has the files
// only. It needs no room, and the record takes none.
func (d *Dispatcher) Describe(ctx context.Context, id string, wait time.Duration) (jobs.Record, error) {
	return d.getBy(ctx, id, wait, d.describe)
}

func (d *Dispatcher) getBy(ctx context.Context, id string, wait time.Duration, read reader) (jobs.Record, error) {
	if wait <= 0 {
		return read(ctx, id)
	}
	ended, _, done := d.waiters.Add(id) // before the look, so that no end is missed
	defer done()
	return d.awaitEnd(ctx, id, ended, wait, read)
}

// reader reads a job's record as it is now.
type reader func(ctx context.Context, id string) (jobs.Record, error)

// awaitEnd gives a job's record once it ended or wait has passed. ended is from
// before the call. It gives ctx's error if that ends first.
func (d *Dispatcher) awaitEnd(
	ctx context.Context, id string, ended <-chan struct{}, wait time.Duration, read reader,
) (jobs.Record, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		record, err := read(ctx, id)
		if err != nil || record.State.Ended() {
			return record, err
		}
		select {
		case <-ended:
		case <-timer.C:
			return read(ctx, id)
		case <-ctx.Done():
			return record, ctx.Err()
		}
	}
}

// read gives a job's record, which the caller of this package releases. When it
// fails, the record has the id.
func (d *Dispatcher) read(ctx context.Context, id string) (jobs.Record, error) {
	record, err := d.store.Hold(ctx, id, patience)
	return d.answerWith(ctx, record, id, err)
}

// describe is read for Describe.
func (d *Dispatcher) describe(ctx context.Context, id string) (jobs.Record, error) {
	record, err := d.store.Describe(ctx, id, patience)
	return d.answerWith(ctx, record, id, err)
}

// answerWith returns a record that was read, or what a client is told of err.
func (d *Dispatcher) answerWith(ctx context.Context, record jobs.Record, id string, err error) (jobs.Record, error) {
	if err != nil {
		return jobs.Record{ID: id, State: record.State}, d.explain(ctx, "the job's record could not be read", err)
	}
	return record, nil
}

// explain turns the store's errors into those that a client is told.
func (d *Dispatcher) explain(ctx context.Context, what string, err error) error {
	var known *jobs.Error
	switch {
	case errors.As(err, &known):
		return known
	case ctx.Err() != nil:
		return ctx.Err()
	case store.Full(err) != nil:
		return store.Full(err)
	default:
		return unavailable(what, err)
	}
}

func unavailable(message string, cause error) *jobs.Error {
	return &jobs.Error{Code: jobs.CodeUnavailable, Message: message, RetryAfterSeconds: retryAfterSeconds, Cause: cause}
}

// Ready fails with CodeUnavailable while Redis cannot be reached or takes no write,
// and else counts the workers. No worker is no failure: jobs can wait.
func (d *Dispatcher) Ready(ctx context.Context) (int, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.store.TryWrite(bounded); err != nil {
		return 0, d.explain(ctx, "the queue cannot be reached", err)
	}
	n, err := d.Workers(ctx)
	if err != nil {
		return 0, d.explain(ctx, "the queue cannot be reached", err)
	}
	return n, nil
}

// Workers counts the workers that live and take jobs.
func (d *Dispatcher) Workers(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return d.store.LiveWorkers(ctx)
}

// QueueDepth counts the jobs that wait for a worker.
func (d *Dispatcher) QueueDepth(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	n, err := d.producer.Depth(ctx)
	if err != nil {
		return 0, fmt.Errorf("queue depth: %w", err)
	}
	return n, nil
}
