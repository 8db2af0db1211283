// Package worker takes jobs from the queue, runs each in a sandbox, and stores its end.
//
// User code runs at most once. A delivery starts its job only if it is the first to claim the start, as its last step,
// when a sandbox is ready for the script. A delivery that finds another's claim is repeated by the queue while the
// worker with the claim is alive; once that worker is gone, the delivery ends the job as worker_lost.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
)

// Sandbox is ready for one script. Call either Run or Discard, once.
type Sandbox interface {
	// Run runs the script by its entry with its inputs (nil for none) to its end and cleans up. It sets Usage
	// except QueuedMS and PrepareMS. When ctx is done it kills the script, and the outcome is
	// CodeCancelled.
	Run(ctx context.Context, script string, entry jobs.Entry, inputs *jobs.Inputs) jobs.Outcome
	// Follow calls handle with the script's output from the first byte on, as it is printed, until ctx is done.
	Follow(ctx context.Context, handle func([]jobs.OutputChunk))
	// Started reports, after Run, whether code of the script may have run. If not, the sandbox was lost before, and the
	// job may run in another one.
	Started() bool
	// Discard ends a sandbox that was not Run, and blocks until it is gone.
	Discard()
}

// Files stores the files of jobs.
type Files interface {
	// Put stores a job's files for at least ttl, and records in each its storage key.
	Put(ctx context.Context, jobID string, files []jobs.OutputFile, ttl time.Duration) error
}

// Metrics counts jobs. Each JobEnded follows one JobStarted.
type Metrics interface {
	JobStarted()
	JobEnded(outcome jobs.Outcome)
	// SetRedisUp records whether a heartbeat has reached Redis.
	SetRedisUp(up bool)
}

// Settings configures a worker.
type Settings struct {
	Concurrency  int           `name:"worker-concurrency" env:"WORKER_CONCURRENCY" default:"0" help:"Number of jobs that run at once (at most 512); 0 is the number of CPUs."`
	FlowSlots    int           `name:"worker-flow-slots" env:"WORKER_FLOW_SLOTS" default:"0" help:"How many of these may be jobs of one tenant with a key, and how many jobs of batches; 0 is all but one, and at least one. The rest is reserved for other jobs."`
	EndPatience  time.Duration `name:"end-patience" env:"END_PATIENCE" default:"60s" help:"How long (duration) a worker retries to store the end of a job while Redis is unreachable; after that the job ends as worker_lost."`
	DrainTimeout time.Duration `name:"drain-timeout" env:"DRAIN_TIMEOUT" default:"25s" help:"How long (duration) running jobs may continue after a stop signal; jobs that still run then end as worker_lost. Must be longer than the wall limit."`
	// With replicas, not even a failover of Redis makes a script run twice.
	FenceReplicas int `name:"fence-replicas" env:"FENCE_REPLICAS" default:"0" help:"How many replicas of Redis must have a job's start claim before its script starts. At least 1 where Sentinel may fail over."`
}

// MaxConcurrency limits the jobs that one worker runs at once. Each of its pools keeps as many
// sandboxes ready, and every sandbox needs its own user id.
const MaxConcurrency = 512

// Validate returns an error for inconsistent settings. wall is the jobs' wall limit.
func (s Settings) Validate(wall time.Duration) error {
	var errs []error
	if s.Concurrency < 0 || s.Concurrency > MaxConcurrency {
		errs = append(errs,
			fmt.Errorf("WORKER_CONCURRENCY is %d; 0 to %d is possible, and more jobs at once need more workers",
				s.Concurrency, MaxConcurrency))
	}
	if s.FlowSlots < 0 || s.FlowSlots > s.Slots() {
		errs = append(errs, errors.New("WORKER_FLOW_SLOTS must be from 0 to WORKER_CONCURRENCY"))
	}
	if s.FenceReplicas < 0 {
		errs = append(errs, errors.New("FENCE_REPLICAS must not be negative"))
	}
	if s.EndPatience < time.Second {
		errs = append(errs, errors.New("END_PATIENCE must be at least 1s"))
	}
	if s.DrainTimeout <= wall {
		errs = append(errs, errors.New("DRAIN_TIMEOUT must be longer than the wall limit"))
	}
	return errors.Join(errs...)
}

// Slots returns how many jobs run at once.
func (s Settings) Slots() int {
	if s.Concurrency == 0 {
		return min(runtime.NumCPU(), MaxConcurrency)
	}
	return s.Concurrency
}

// flowSlots returns how many slots the jobs of one tenant may take, and those of batches.
func (s Settings) flowSlots() int {
	if s.FlowSlots == 0 {
		return max(1, s.Slots()-1)
	}
	return s.FlowSlots
}

// Config is what New needs.
type Config struct {
	Settings Settings
	// Version is that of the program, which the worker reports.
	Version string
	// Wall is the sandboxes' wall limit, for jobs whose record has none.
	Wall time.Duration
	// MaxLimits are the limits that sandboxes are made with. A job above one of them is left to another worker; 0 means
	// no maximum.
	MaxLimits jobs.RequestedLimits
	// Client is for the queue. The caller owns it, and closes it after Run.
	Client redis.UniversalClient
	Store  *store.Store
	// Environments are what the sandboxes can have; nil means the default only.
	Environments Environments
	// Acquire returns a sandbox that the caller owns, with an environment ("" for the default). It may choose one by
	// the script, which only Run passes on.
	Acquire func(ctx context.Context, environment, script string) (Sandbox, error)
	Files   Files
	Metrics Metrics
	// Traces records the steps of jobs; nil records none.
	Traces Traces
	Logger *slog.Logger
}

const (
	// heartbeatInterval is how often a worker with a job sends a heartbeat, livenessTTL how long one is valid:
	// three may be late or lost.
	heartbeatInterval = time.Second
	livenessTTL       = 4 * time.Second
	// idleIntervals is how many intervals an idle worker lets pass for each heartbeat. It is below livenessTTL, since
	// the worker may take a job in between.
	idleIntervals = 3
	// heartbeatTimeout limits one heartbeat, maxHeartbeats those in flight at once.
	heartbeatTimeout = 5 * time.Second
	// fullHeartbeat is how many intervals there are for each heartbeat of an idle worker that has everything.
	fullHeartbeat = 10 * idleIntervals
	maxHeartbeats = int(heartbeatTimeout/heartbeatInterval) + 1
	// commandTimeout limits one step with Redis. Over a slow link that is several round trips: a
	// new connection, and a Lua script that Redis has not cached.
	commandTimeout = 10 * time.Second
	// claimTimeout is how long a ready sandbox waits until the start is claimed.
	claimTimeout = 10 * time.Second
	// replicationTimeout is how long one attempt to claim a start waits for replicas.
	replicationTimeout = time.Second
	// filesTimeout is how long storing a job's files may take.
	filesTimeout = 30 * time.Second
	// acquireAttempts is how often workers try in all to get a sandbox for a job.
	acquireAttempts = 3
	// overdueSlack is the margin after a job's deadline and its owner's EndPatience; after it the
	// job counts as lost even if its owner is alive.
	overdueSlack = 30 * time.Second
	// endGrace is how long ends may still be stored after DrainTimeout, teardownBound the longest
	// that killing a sandbox takes.
	endGrace      = 3 * time.Second
	teardownBound = 10 * time.Second
)

// Worker is one worker. Call Run once.
type Worker struct {
	Config
	owner     string
	startedAt time.Time
	// runCtx is the context of running scripts, storeCtx that of storing ends. Both outlive the contexts of the
	// deliveries: when asynq cancels a delivery, its script continues.
	runCtx       context.Context //nolint:containedctx // the worker's own state, ended by Run
	cancelRuns   context.CancelFunc
	storeCtx     context.Context //nolint:containedctx // likewise
	cancelStores context.CancelFunc
	// inFlight are all deliveries, running those that are about to start or run.
	inFlight, running deliveries
	// requeued counts the jobs that were left to other workers.
	requeued atomic.Int64
	// draining is set once the worker takes no more jobs.
	draining atomic.Bool
	// heartbeats counts the intervals.
	heartbeats atomic.Int64
	reports    reports
	catalog    catalog
	// beatNow makes a heartbeat be sent without delay.
	beatNow chan struct{}
	// The constants above, for tests to shorten.
	heartbeatInterval, livenessTTL time.Duration
}

// New returns a worker.
func New(config Config) *Worker {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	w := &Worker{
		Config:            config,
		owner:             host + "/" + uuid.NewString(),
		startedAt:         time.Now(),
		beatNow:           make(chan struct{}, 1),
		heartbeatInterval: heartbeatInterval,
		livenessTTL:       livenessTTL,
	}
	if w.Environments == nil {
		w.Environments = onlyDefault{}
	}
	if w.Traces == nil {
		w.Traces = noTraces{}
	}
	w.runCtx, w.cancelRuns = context.WithCancel(context.Background())
	w.storeCtx, w.cancelStores = context.WithCancel(context.Background())
	return w
}

// Run takes and runs jobs until ctx is done. Then it takes no more and waits for the running ones,
// for at most DrainTimeout, after which it kills them. It starts and continues even while Redis is
// away.
func (w *Worker) Run(ctx context.Context) error {
	defer w.cancelStores()
	defer w.cancelRuns()
	beating, stopBeating := context.WithCancel(context.WithoutCancel(ctx))
	var heart sync.WaitGroup
	heart.Go(func() { w.runHeartbeat(beating) })
	heart.Go(func() { w.runCommandListener(beating) })
	defer func() {
		stopBeating()
		heart.Wait()
	}()
	take, args := store.TakeStep(w.owner)
	environments, _ := w.Environments.List()
	consumer := queue.NewConsumer(w.Client, queue.ConsumerSettings{
		Step:            queue.Step{Lua: take, Args: args},
		Concurrency:     w.Settings.Slots(),
		FlowConcurrency: w.Settings.flowSlots(),
		Environments:    namesOf(environments),
		// Never reached: everything has ended or been killed before.
		ShutdownTimeout: w.Settings.DrainTimeout + endGrace + teardownBound,
	}, w.Handle, w.Logger)
	if err := consumer.Start(); err != nil {
		return err
	}
	heart.Go(func() { w.followEnvironments(beating, consumer) })
	w.Logger.Info("worker started", "worker", w.owner, "concurrency", w.Settings.Slots())
	<-ctx.Done()
	w.draining.Store(true)
	w.Logger.Info("worker draining", "worker", w.owner)
	killing := time.AfterFunc(w.Settings.DrainTimeout, w.cancelRuns)
	defer killing.Stop()
	abandoning := time.AfterFunc(w.Settings.DrainTimeout+endGrace, w.cancelStores)
	defer abandoning.Stop()
	return consumer.Stop()
}
