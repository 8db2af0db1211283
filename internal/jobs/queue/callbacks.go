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
	// callbackQueue is asynq's name of the queue, and callbackWakeKey the list of tokens that wakes its consumers, as
	// wakeKey wakes workers.
	callbackQueue   = "callbacks"
	callbackWakeKey = "cellblock:wake:callbacks"
	callbackType    = "callback"
	// callbackForward is how often callbacks whose pause has passed are moved into the queue.
	callbackForward = 500 * time.Millisecond
	// roundedDown is the most that asynq takes off the time of a retry, which it keeps in whole seconds.
	roundedDown = time.Second - 1
	// callbackTrouble is the pause after a handler's error.
	callbackTrouble = 2 * time.Second
)

// EnqueueCallback enqueues the callback of an ended job. It does nothing if that is enqueued already.
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

// RequeueCallback makes a lost callback the next one of the queue, whatever the state of its task.
func (p *Producer) RequeueCallback(ctx context.Context, id string) error {
	if err := p.requeue(ctx, callbackQueue, id); err != nil {
		return fmt.Errorf("requeue the callback of job %s: %w", id, err)
	}
	return p.EnqueueCallback(ctx, id)
}

// CallbackHandler handles the callback of one job. It returns the time after which to call it again, which may be
// exceeded by up to two seconds; 0 for never. After an error it is called again in a few seconds. The same callback
// may be handled twice, even concurrently. The context ends after ShutdownTimeout, and another consumer then handles
// the callback.
type CallbackHandler func(ctx context.Context, id string) (again time.Duration, err error)

// againError makes asynq deliver a callback again.
type againError struct{ after time.Duration }

func (e *againError) Error() string { return "to be sent again" }

// NewCallbackConsumer is NewConsumer for callbacks.
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
