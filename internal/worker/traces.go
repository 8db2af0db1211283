package worker

import (
	"context"
	"time"

	"cellblock/internal/jobs"
)

// Traces records spans. Each function that a method returns ends its span, and is called once; an error is a failure of
// the service.
type Traces interface {
	// StartJob records the wait of a job that was taken at a time, and starts the span of its delivery, in the job's
	// trace. It returns a context with the span.
	StartJob(
		ctx context.Context, job jobs.Job, takenAt time.Time, attempt int,
	) (_ context.Context, end func(err error))
	// StartStep starts the span of a step of the delivery in ctx, and returns a context with the span.
	StartStep(ctx context.Context, name string) (_ context.Context, end func(err error))
	// SetOutcome records the outcome of the job in the span of ctx.
	SetOutcome(ctx context.Context, outcome jobs.Outcome)
	// Carry returns ctx with the span of another context.
	Carry(ctx, from context.Context) context.Context
}

// noTraces records nothing, and costs nothing.
type noTraces struct{}

func noSpan(error) {}

// StartJob returns ctx.
func (noTraces) StartJob(
	ctx context.Context, _ jobs.Job, _ time.Time, _ int,
) (_ context.Context, end func(err error)) {
	return ctx, noSpan
}

// StartStep returns ctx.
func (noTraces) StartStep(ctx context.Context, _ string) (_ context.Context, end func(err error)) {
	return ctx, noSpan
}

// SetOutcome does nothing.
func (noTraces) SetOutcome(context.Context, jobs.Outcome) {}

// Carry returns ctx.
func (noTraces) Carry(ctx, _ context.Context) context.Context { return ctx }
