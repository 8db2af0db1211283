package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// ErrHeld is returned by a handler while another delivery of the job is in progress: the job is delivered again in a
// few seconds, and that does not count as a failed attempt.
var ErrHeld = errors.New("the job is held by another delivery")

// ErrElsewhere is returned by a handler for a job that another consumer must take: the job is delivered again, to any
// consumer, in two to four seconds however many consumers there are, and that does not count as a failed attempt.
var ErrElsewhere = errors.New("the job is left to another consumer")

// Delivery is one delivery of a job to a worker. A job may be delivered more than once.
type Delivery struct {
	ID string
	// Attempt counts the failed deliveries before this one.
	Attempt int
	// Reply is what the step of the settings returned; nil if it returned nothing.
	Reply []string
}

// Handler handles one delivery. If it returns nil, the job leaves the queue; after an error the job is delivered
// again, to any worker, within about two seconds. The context is not the job's: asynq ends it after half a minute
// without reaching Redis.
type Handler func(ctx context.Context, delivery Delivery) error

// ConsumerSettings bound a consumer.
type ConsumerSettings struct {
	// Concurrency is the number of deliveries handled concurrently, at least 1.
	Concurrency int
	// FlowConcurrency is how many of these may be jobs of one tenant besides the operator, and how many jobs of
	// batches; 0 for all.
	FlowConcurrency int
	// ShutdownTimeout is how long Stop waits for handlers. It must exceed the longest run of a handler: asynq delivers
	// the jobs of handlers that are still running to other workers.
	ShutdownTimeout time.Duration
	// Environments are those whose jobs it takes, besides the default's; see Consumer.SetEnvironments.
	Environments []string
	// Step runs in Redis when a job is taken from the queue, in the same script; zero for none.
	Step Step
}

const (
	// checkInterval is asynq's sleep after an empty poll: none, since the real wait was in awaitToken. With 0 it would
	// be a second.
	checkInterval = time.Nanosecond
	// forwardInterval is how often failed deliveries are moved back into the queue.
	forwardInterval = 2 * time.Second
	// elsewherePause is the minimum time between two deliveries of a job that a consumer left to another one.
	elsewherePause = 2 * time.Second
	// releaseTimeout bounds each command that Stop sends to end or pass on a wait.
	releaseTimeout = time.Second
)

// Consumer takes jobs, or webhooks, from their queue. Start it once and Stop it.
type Consumer struct {
	client   *consumerClient
	lane     lane
	server   *asynq.Server
	handle   Handler
	stopping chan struct{}
	stop     sync.Once
	endWaits context.CancelFunc
	running  atomic.Int64
	logger   *slog.Logger
	// peers are the other consumers of a Consumers.
	peers []*Consumer
}

// NewConsumer returns a consumer on a client that the caller owns and closes later. It uses one connection for its
// wait and Concurrency + 2 others.
func NewConsumer(
	client redis.UniversalClient, settings ConsumerSettings, handle Handler, logger *slog.Logger,
) *Consumer {
	return newConsumer(client, jobLane(), settings, handle, logger)
}

// retryDelay returns the minimum time until a job is delivered again. All consumers forward due tasks, so with more
// consumers a job that none of them takes would circulate faster; for ErrElsewhere it is therefore not due for a
// while.
func retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	if errors.Is(err, ErrElsewhere) {
		return elsewherePause
	}
	return 0
}

// lane describes what a consumer takes from, and how.
type lane struct {
	// queue is the one that asynq knows, and hasFlows reports that jobs wait in flows and environments have queues.
	queue           string
	hasFlows        bool
	forwardInterval time.Duration
	retryDelay      asynq.RetryDelayFunc
}

// jobLane is the lane of jobs.
func jobLane() lane {
	return lane{queue: defaultQueue, hasFlows: true, forwardInterval: forwardInterval, retryDelay: retryDelay}
}

func newConsumer(
	client redis.UniversalClient, lane lane, settings ConsumerSettings, handle Handler, logger *slog.Logger,
) *Consumer {
	stopping, step := make(chan struct{}), settings.Step
	if step.Lua == "" {
		step = noStep
	}
	stopped, stop := context.WithCancel(context.Background())
	wrapped := &consumerClient{
		stopped: stopped, UniversalClient: client, forwardInterval: lane.forwardInterval,
		stopKey: stopKey(tokensOf(lane.queue), uuid.NewString()), stopping: stopping,
		slots: &slots{bound: settings.FlowConcurrency}, scripts: newScripts(step), step: step,
	}
	wrapped.polled.Store(newPolled(lane, otherEnvironments(settings.Environments)))
	level := asynq.WarnLevel
	if logger.Enabled(context.Background(), slog.LevelDebug) {
		level = asynq.DebugLevel
	}
	return &Consumer{
		client:   wrapped,
		endWaits: stop,
		lane:     lane,
		handle:   handle,
		stopping: stopping,
		logger:   logger,
		server: asynq.NewServerFromRedisClient(wrapped, asynq.Config{
			Concurrency:              settings.Concurrency,
			Queues:                   map[string]int{lane.queue: 1},
			TaskCheckInterval:        checkInterval,
			DelayedTaskCheckInterval: lane.forwardInterval,
			ShutdownTimeout:          settings.ShutdownTimeout,
			RetryDelayFunc:           lane.retryDelay,
			IsFailure:                isFailure,
			Logger:                   asynqLogger{logger},
			LogLevel:                 level,
		}),
	}
}

// isFailure reports whether an error counts in Delivery.Attempt. A lease expires when a worker is lost or cannot reach
// Redis; neither is the job's failure.
func isFailure(err error) bool {
	return !errors.Is(err, ErrHeld) && !errors.Is(err, ErrElsewhere) && !errors.Is(err, asynq.ErrLeaseExpired)
}

// Start starts to take jobs. Redis need not be reachable yet.
func (c *Consumer) Start() error {
	return c.server.Start(asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
		c.running.Add(1)
		defer c.running.Add(-1)
		attempt, _ := asynq.GetRetryCount(ctx)
		id := string(task.Payload())
		slot := c.client.slots.begin(id)
		defer c.freeSlot(slot)
		defer c.client.turns.begin(id)()
		return c.handle(ctx, Delivery{ID: id, Attempt: attempt, Reply: c.client.replies.take(id)})
	}))
}

// freeSlot makes the consumer poll again if it passed over jobs while a slot was in use.
func (c *Consumer) freeSlot(used *slot) {
	if c.client.slots.end(used) {
		c.signal("looking for another job of a tenant", c.client.release)
	}
	for _, peer := range c.peers {
		if used != nil && peer.client.slots.noteEnd() {
			peer.signal("looking for another job of a tenant", peer.client.release)
		}
	}
}

// Stop takes no more jobs and waits for the handlers, for at most ShutdownTimeout. It returns an error if some are
// still running then. Without Redis it may take a few seconds longer.
func (c *Consumer) Stop() error {
	c.stop.Do(func() {
		close(c.stopping)
		c.endWaits()
	})
	c.signal("ending the wait for work", c.client.release)
	c.server.Shutdown()
	// The wait may have ended with a token for a job, so another consumer must poll.
	c.signal("passing a token on", func(ctx context.Context) error {
		var err error
		for _, list := range c.client.polled.Load().lists() {
			err = errors.Join(err, wake(ctx, c.client.UniversalClient, list, 1))
		}
		return err
	})
	if n := c.running.Load(); n > 0 {
		return fmt.Errorf("%d deliveries are still at work", n)
	}
	return nil
}

// signal sends a command that only makes something happen sooner.
func (c *Consumer) signal(what string, send func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	if err := send(ctx); err != nil {
		c.logger.Warn("it will take longer", "step", what, "error", err)
	}
}

// asynqLogger logs asynq's messages. Everything important is also logged where the job is known; these messages serve
// to debug asynq.
type asynqLogger struct{ logger *slog.Logger }

func (l asynqLogger) log(level slog.Level, args []any) {
	l.logger.Log(context.Background(), level, "asynq", "message", fmt.Sprint(args...))
}

// Debug implements asynq.Logger.
func (l asynqLogger) Debug(args ...any) { l.log(slog.LevelDebug, args) }

// Info implements asynq.Logger.
func (l asynqLogger) Info(args ...any) { l.log(slog.LevelDebug, args) }

// Warn implements asynq.Logger.
func (l asynqLogger) Warn(args ...any) { l.log(slog.LevelWarn, args) }

// Error implements asynq.Logger.
func (l asynqLogger) Error(args ...any) { l.log(slog.LevelWarn, args) }

// Fatal implements asynq.Logger. A running server does not call it.
func (l asynqLogger) Fatal(args ...any) { l.log(slog.LevelError, args) }
