package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const (
	// callbackQueue is asynq's name of the queue, and callbackWakeKey the list of
	// tokens that wakes its consumers, as wakeKey wakes workers.
	callbackQueue   = "callbacks"
	callbackWakeKey = "cellblock:wake:callbacks"
	callbackType    = "callback"
	// callbackForward is how often callbacks are looked for whose pause is over.
	callbackForward = 500 * time.Millisecond
	// roundedDown is what asynq takes off a time at which a task is to come again:
	// it keeps whole seconds.
	roundedDown = time.Second - 1
	// callbackTrouble is the pause after a handler's error.
	callbackTrouble = 2 * time.Second
)

// EnqueueCallback puts a job that has ended into the queue of callbacks. To do it
// twice while it is there does nothing.
func (p *Producer) EnqueueCallback(ctx context.Context, id string) error {
	_, err := p.tasks.EnqueueContext(ctx, asynq.NewTask(callbackType, []byte(id)),
		asynq.TaskID(id), asynq.Queue(callbackQueue), asynq.MaxRetry(maxRetry), asynq.Timeout(taskTimeout))
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue the callback of job %s: %w", id, err)
	}
	if err := wake(ctx, p.client, callbackWakeKey, 1); err != nil {
		return fmt.Errorf("wake somebody for the callback of job %s: %w", id, err)
	}
	return nil
}

// RequeueCallback has a callback delivered now, wherever it is: whoever had it is
// gone.
func (p *Producer) RequeueCallback(ctx context.Context, id string) error {
	if err := p.requeue(ctx, callbackQueue, id); err != nil {
		return fmt.Errorf("requeue the callback of job %s: %w", id, err)
	}
	return p.EnqueueCallback(ctx, id)
}

// CallbackHandler handles the callback of one job. It gives how long to wait
// until it is to be called again, at least and up to two seconds more; 0 for never. With an error it is called again in a
// few seconds. The same callback may be handled twice, even at once. The context
// ends when ShutdownTimeout is over, and the callback is then for others.
type CallbackHandler func(ctx context.Context, id string) (again time.Duration, err error)

// againError is asynq's way to hear that a callback is not done.
type againError struct{ after time.Duration }

func (e *againError) Error() string { return "to be sent again" }

// NewCallbackConsumer makes a consumer of callbacks; else it is as NewConsumer.
func NewCallbackConsumer(client redis.UniversalClient, settings ConsumerSettings, handle CallbackHandler, logger *slog.Logger) *Consumer {
	return newConsumer(client, lane{
		tokens: callbackWakeKey, queues: map[string]int{callbackQueue: 1}, forwardInterval: callbackForward,
		retryDelay: callbackDelay,
	}, settings, func(ctx context.Context, d Delivery) error {
		again, err := handle(ctx, d.ID)
		if err == nil && again > 0 {
			return &againError{after: again}
		}
		return err
	}, logger)
}

func callbackDelay(_ int, err error, _ *asynq.Task) time.Duration {
	var again *againError
	switch {
	case errors.As(err, &again):
		return again.after + roundedDown
	case errors.Is(err, asynq.ErrLeaseExpired):
		return 0
	default:
		return callbackTrouble
	}
}
