// Package dispatch is the job service behind the HTTP API: it accepts jobs, waits for their ends, and returns their
// records.
//
// Each API replica has one Pub/Sub channel, on which the dispatcher listens. Every job carries the name of the channel
// of the replica that accepted it, and the process that ends the job publishes its id there, and the record of a
// synchronous job if it is small. Pub/Sub may lose messages, so the ids with waiters are also checked every second and
// after every (re)subscription.
//
// Every method for a client acts for the caller in its context (jobs.CallerOf): new jobs are that tenant's, and what
// the caller does not see does not exist.
package dispatch

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/semaphore"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/notify"
	"cellblock/internal/redisconn"
)

// Settings are the limits and waiting times of a Dispatcher.
type Settings struct {
	SyncWait      time.Duration `name:"sync-wait" env:"SYNC_WAIT" default:"15s" help:"How long (duration) a synchronous request is held, from its arrival, before it is answered 202."`
	NoWorkerGrace time.Duration `name:"no-worker-grace" env:"NO_WORKER_GRACE" default:"3s" help:"How long (duration) a synchronous job waits while no worker is alive before the request that created it withdraws it and is answered 503."`
	// ExpectedEnvironments are known before a worker has reported them, and stay known.
	ExpectedEnvironments []string      `name:"expected-environments" env:"EXPECTED_ENVIRONMENTS" placeholder:"NAME" help:"Environments (comma-separated) that jobs may ask for although no worker has reported them, or none for a day: those of workers that are started when jobs wait. The default is always known."`
	StartDeadline        time.Duration `name:"start-deadline" env:"START_DEADLINE" default:"1h" help:"How long (duration) a job may wait to be started before it is withdrawn as not_started, at most 24h. A request may ask for less with start_within."`
	// Limits apply to jobs whose requests do not ask for lower ones; zero means the default limits.
	Limits jobs.Limits `kong:"-"`
	// Patience bounds each step that a client waits for while Redis answers slowly; transfer times of large data are
	// added, and steps end sooner if Redis is silent: see redisconn.Monitor. 0 means 15 seconds.
	Patience time.Duration `kong:"-"`
	// Files reads the files that requests refer to. nil refuses such requests.
	Files Files `kong:"-"`
	// CPU meters what tenants use; nil reads it from the store.
	CPU CPUMeter `kong:"-"`
	// Traces records how jobs are queued; nil records nothing, and jobs keep the trace context of their requests.
	Traces     Traces `kong:"-"`
	QueueLimit int    `name:"queue-limit" env:"QUEUE_LIMIT" default:"10000" help:"How many jobs may be queued or running before new ones are refused with 429. The last tenth is for synchronous requests."`
}

// Traces records spans.
type Traces interface {
	// StartSend starts the span in which a job is stored and enqueued. It returns a context with the span, and the
	// trace context for the job's record. end is called once; a *jobs.Error is the reason of a refusal.
	StartSend(ctx context.Context, job jobs.Job) (_ context.Context, trace jobs.TraceContext, end func(err error))
}

// Validate returns an error if a setting is out of range.
func (s Settings) Validate() error {
	if s.SyncWait <= 0 || s.NoWorkerGrace <= 0 {
		return errors.New("SYNC_WAIT and NO_WORKER_GRACE must be above 0")
	}
	if s.StartDeadline < time.Second || s.StartDeadline > 24*time.Hour {
		return errors.New("START_DEADLINE must be from 1s to 24h")
	}
	for _, name := range s.ExpectedEnvironments {
		if !jobs.IsEnvironmentName(name) {
			return errors.New("EXPECTED_ENVIRONMENTS: not the name of an environment: " + name)
		}
	}
	if s.QueueLimit < 1 {
		return errors.New("QUEUE_LIMIT must be at least 1")
	}
	return nil
}

const (
	// defaultPatience is the default of Settings.Patience.
	defaultPatience = 15 * time.Second
	// withdrawTimeout bounds the cleanup for a job that could not be accepted. With it, a client learns within about a
	// second that Redis cannot be reached.
	withdrawTimeout = 250 * time.Millisecond
	// acceptsAtOnce is how many jobs are accepted concurrently. More would make each slower and finish none sooner.
	acceptsAtOnce = 32
	// recheckInterval is how often ids with waiters are checked.
	recheckInterval = time.Second
	// overtime is how far a running job's wall deadline may lie after the end of a wait for the wait to be extended;
	// overtimeSlack is the time allowed for killing the job and storing its end.
	overtime      = time.Second
	overtimeSlack = 500 * time.Millisecond
)

// Dispatcher accepts jobs and waits for them. It is safe for concurrent use. The caller must call Close.
type Dispatcher struct {
	store    *store.Store
	producer *queue.Producer
	client   redis.UniversalClient
	channel  *notify.Channel
	monitor  *redisconn.Monitor
	settings Settings
	logger   *slog.Logger

	// waiters are the calls that wait for jobs, by id. They receive the record of the ended job, which they share, or
	// nil if they are to read it. They are not those of channel, since they need not check at intervals: recheck does
	// that for all at once.
	waiters notify.Waiters[*jobs.Record]
	// acceptLimiter limits the number of jobs being accepted.
	acceptLimiter *semaphore.Weighted
	// itemLimiter limits the number of batch items being accepted or cancelled.
	itemLimiter *semaphore.Weighted
	// fleet is what is known of the workers and their environments.
	fleet atomic.Pointer[fleet]
	// fleetTurn is held while the workers are read.
	fleetTurn *semaphore.Weighted
	// cpu caches what tenants have used today.
	cpu cpuCache
	// pressure is the last measurement of the queue's load.
	pressure atomic.Pointer[pressure]

	stop   context.CancelFunc
	listen sync.WaitGroup
}

// New creates a dispatcher and starts to listen on channel with client; Redis need not be reachable yet. The store and
// the producer must use the monitor's client. The caller owns the client and the monitor, and closes them after the
// dispatcher. channel is also for the hub of live output, and receives nothing once the dispatcher is closed.
func New(
	s *store.Store, producer *queue.Producer, client redis.UniversalClient, channel *notify.Channel,
	monitor *redisconn.Monitor,
	settings Settings, logger *slog.Logger,
) *Dispatcher {
	ctx, stop := context.WithCancel(context.Background())
	d := &Dispatcher{
		store:         s,
		producer:      producer,
		client:        client,
		channel:       channel,
		monitor:       monitor,
		settings:      settings,
		logger:        logger,
		acceptLimiter: semaphore.NewWeighted(acceptsAtOnce),
		itemLimiter:   semaphore.NewWeighted(itemsAtOnce),
		fleetTurn:     semaphore.NewWeighted(1),
		stop:          stop,
	}
	if d.settings.Limits == (jobs.Limits{}) {
		d.settings.Limits = jobs.DefaultLimits()
	}
	d.cpu.meter = settings.CPU
	if d.cpu.meter == nil {
		d.cpu.meter = s
	}
	d.settings.Patience = cmp.Or(settings.Patience, defaultPatience)
	d.fleet.Store(&fleet{expected: settings.ExpectedEnvironments})
	d.pressure.Store(&pressure{})
	d.listen.Go(func() { d.run(ctx) })
	return d
}

// Close stops the listener and waits for it. Calls of Execute and Get that still wait are not notified after that.
func (d *Dispatcher) Close() {
	d.stop()
	d.listen.Wait()
}

// withdraw ends a job that has not been started, even if ctx has ended. Only the request that created the job calls
// it, and it does nothing once another request was answered with the job.
func (d *Dispatcher) withdraw(ctx context.Context, id, why string) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTimeout)
	defer cancel()
	return d.store.WithdrawUnshared(ctx, id,
		jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeUnavailable, Message: why}})
}

// Get returns a job's record once the job has ended or wait has passed; with a wait of 0 it returns immediately. It
// returns ctx's error if ctx ends first, or a *jobs.Error with CodeNotFound or CodeUnavailable. The caller calls
// release when it no longer holds the record.
func (d *Dispatcher) Get(
	ctx context.Context, id string, wait time.Duration,
) (record jobs.Record, release func(), err error) {
	return d.getBy(ctx, id, wait, d.read)
}

// Describe is Get without the fields that may be large: the outcome has only the files. It needs no memory of the
// budget.
func (d *Dispatcher) Describe(ctx context.Context, id string, wait time.Duration) (jobs.Record, error) {
	record, _, err := d.getBy(ctx, id, wait, d.describe)
	return record, err
}

func (d *Dispatcher) getBy(
	ctx context.Context, id string, wait time.Duration, read reader,
) (jobs.Record, func(), error) {
	if wait <= 0 {
		return read(ctx, id)
	}
	ended, done := d.waiters.Wait(id) // before the read, so that no end is missed
	defer done()
	return d.awaitEnd(ctx, id, ended, wait, read)
}

// reader reads a job's current record, whose memory the caller releases.
type reader func(ctx context.Context, id string) (record jobs.Record, release func(), err error)

// awaitEnd returns a job's record once the job has ended or wait has passed. ended must have been obtained before the
// call. It returns ctx's error if ctx ends first. A record from ended is returned only after read has found that the
// caller sees the job.
func (d *Dispatcher) awaitEnd(
	ctx context.Context, id string, ended <-chan *jobs.Record, wait time.Duration, read reader,
) (jobs.Record, func(), error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		record, release, err := read(ctx, id)
		if err != nil || record.State.Ended() {
			return record, release, err
		}
		select {
		case record := <-ended:
			if record != nil {
				return *record, func() {}, nil
			}
		case <-timer.C:
			return read(ctx, id)
		case <-ctx.Done():
			return record, release, ctx.Err()
		}
	}
}

// read is the reader of Get. On an error the record still has the id.
func (d *Dispatcher) read(ctx context.Context, id string) (jobs.Record, func(), error) {
	return d.readWithin(ctx, id, d.settings.Patience)
}

// readWithin is read, with another patience than the settings'.
func (d *Dispatcher) readWithin(
	ctx context.Context, id string, patience time.Duration,
) (jobs.Record, func(), error) {
	record, release, err := d.store.ReadBudgeted(ctx, jobs.CallerOf(ctx), id, patience)
	record, err = d.answerWith(ctx, record, id, err)
	return record, release, err
}

// describe is the reader of Describe.
func (d *Dispatcher) describe(ctx context.Context, id string) (jobs.Record, func(), error) {
	record, err := d.store.Describe(ctx, jobs.CallerOf(ctx), id, d.settings.Patience)
	record, err = d.answerWith(ctx, record, id, err)
	return record, func() {}, err
}

// answerWith returns the record, or the error for a client if err is not nil.
func (d *Dispatcher) answerWith(ctx context.Context, record jobs.Record, id string, err error) (jobs.Record, error) {
	if err != nil {
		return jobs.Record{ID: id, State: record.State}, explain(ctx, "the job's record could not be read", err)
	}
	return record, nil
}

// explain returns the error for a client whose request failed with err: ctx's error if ctx has ended, or that of
// store.ClientError.
func explain(ctx context.Context, message string, err error) error {
	if jobs.CodeOf(err) == "" && ctx.Err() != nil {
		return ctx.Err()
	}
	return store.ClientError(message, err)
}

// Ready returns an error with CodeUnavailable while Redis cannot be reached or refuses writes, and otherwise the
// number of workers. Having no worker is not an error: jobs can wait.
func (d *Dispatcher) Ready(ctx context.Context) (int, error) {
	bounded, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	if err := d.store.TryWrite(bounded); err != nil {
		return 0, explain(ctx, "the queue cannot be reached", err)
	}
	n, err := d.Workers(ctx)
	if err != nil {
		return 0, explain(ctx, "the queue cannot be reached", err)
	}
	return n, nil
}

// Workers counts the live workers that are not draining.
func (d *Dispatcher) Workers(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	return d.store.LiveWorkers(ctx)
}

// workersOf counts those that have an environment; "" is the default.
func (d *Dispatcher) workersOf(ctx context.Context, environment string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	fleet, err := d.store.Fleet(ctx)
	return len(fleet.Limits(environment)), err
}
