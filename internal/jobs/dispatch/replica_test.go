package dispatch

import (
	"context"
	"time"

	"cellblock/internal/jobs"
)

// The methods of a replica are those of its Dispatcher, by the operator unless the context has another caller. They
// release a record at once.

func byOperator(ctx context.Context) context.Context {
	if jobs.CallerOf(ctx).Tenant != "" {
		return ctx
	}
	return jobs.WithCaller(ctx, jobs.OperatorCaller())
}

func (s *replica) Submit(ctx context.Context, request jobs.Request, requestID string) (jobs.Record, error) {
	return s.Dispatcher.Submit(byOperator(ctx), request, requestID)
}

func (s *replica) Execute(
	ctx context.Context, request jobs.Request, requestID string, wait time.Duration,
) (jobs.Record, error) {
	record, release, err := s.Dispatcher.Execute(byOperator(ctx), request, requestID, wait, func() {})
	release()
	return record, err
}

func (s *replica) Get(ctx context.Context, id string, wait time.Duration) (jobs.Record, error) {
	record, release, err := s.Dispatcher.Get(byOperator(ctx), id, wait)
	release()
	return record, err
}

func (s *replica) Describe(ctx context.Context, id string, wait time.Duration) (jobs.Record, error) {
	return s.Dispatcher.Describe(byOperator(ctx), id, wait)
}

func (s *replica) Cancel(ctx context.Context, id string) (jobs.Record, error) {
	record, release, err := s.Dispatcher.Cancel(byOperator(ctx), id)
	release()
	return record, err
}

func (s *replica) List(ctx context.Context, query jobs.ListQuery) (jobs.Page, error) {
	return s.Dispatcher.List(byOperator(ctx), query)
}

func (s *replica) SubmitBatch(ctx context.Context, request jobs.BatchRequest, requestID string) (jobs.Batch, error) {
	return s.Dispatcher.SubmitBatch(byOperator(ctx), request, requestID)
}

func (s *replica) GetBatch(ctx context.Context, id string, wait time.Duration) (jobs.Batch, error) {
	return s.Dispatcher.GetBatch(byOperator(ctx), id, wait)
}

func (s *replica) CancelBatch(ctx context.Context, id string) (jobs.Batch, error) {
	return s.Dispatcher.CancelBatch(byOperator(ctx), id)
}

func (s *replica) BatchResults(
	ctx context.Context, id string, after int, follow bool, idle time.Duration, deliver func([]jobs.ItemResult) error,
) error {
	return s.Dispatcher.BatchResults(byOperator(ctx), id, after, follow, idle, deliver)
}
