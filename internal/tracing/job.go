package tracing

import (
	"context"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"cellblock/internal/jobs"
)

// StartSend starts the span in which a job is stored and enqueued. It returns a context with the span, and what the
// job's record carries of it: also that the trace is not sampled, so that workers respect it. A job keeps what it has
// if the context has no span and none is recorded.
func (t *Tracer) StartSend(
	ctx context.Context, job jobs.Job,
) (_ context.Context, carried jobs.TraceContext, end func(error)) {
	ctx, span := t.newSpan(ctx, "send "+queueName, trace.SpanKindProducer,
		trace.WithAttributes(jobAttributes(job)...),
		trace.WithAttributes(messageAttributes(job, "send", semconv.MessagingOperationTypeSend)...))
	return withRedis(ctx), t.carried(ctx), func(err error) { endWith(span, err) }
}

// StartJob records the wait of a job that a worker took at takenAt, and starts the span of its delivery. It returns a
// context with the span. end is called once, with the error of the delivery.
//
// Both spans are children of the one in which the job was sent, so that a job is one trace. The conventions for
// messaging allow that where a consumer has one message at a time, and ask for the link too.
func (t *Tracer) StartJob(
	ctx context.Context, job jobs.Job, takenAt time.Time, attempt int,
) (_ context.Context, end func(error)) {
	ctx = t.within(ctx, job.Trace)
	sent := trace.SpanContextFromContext(ctx)
	waited, wait := t.newSpan(ctx, "wait", trace.SpanKindInternal,
		trace.WithTimestamp(takenAt.Add(-job.Waited)), trace.WithAttributes(jobAttributes(job)...))
	wait.End(trace.WithTimestamp(takenAt))
	options := []trace.SpanStartOption{
		trace.WithTimestamp(takenAt), trace.WithAttributes(jobAttributes(job)...),
		trace.WithAttributes(messageAttributes(job, "process", semconv.MessagingOperationTypeProcess)...),
		trace.WithAttributes(keyAttempt.Int(attempt)),
	}
	if sent.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: sent}))
	} else {
		ctx = waited // of an API of an earlier version: one trace all the same
	}
	ctx, span := t.newSpan(ctx, "process "+queueName, trace.SpanKindConsumer, options...)
	return ctx, func(err error) { endStep(span, err) }
}

// StartStep starts the span of a step of the delivery in ctx: prepare, run or store. It returns a context with the
// span. end is called once.
func (t *Tracer) StartStep(ctx context.Context, name string) (_ context.Context, end func(error)) {
	ctx, span := t.newSpan(ctx, name, trace.SpanKindInternal)
	return ctx, func(err error) { endStep(span, err) }
}

// SetOutcome records the outcome of a job in the span of ctx.
func (t *Tracer) SetOutcome(ctx context.Context, outcome jobs.Outcome) {
	var code jobs.Code
	if outcome.Failure != nil {
		code = outcome.Failure.Code
	}
	setOutcome(trace.SpanFromContext(ctx), code)
}

// Carry returns ctx with the span of another context, which StartJob or StartStep returned.
func (t *Tracer) Carry(ctx, from context.Context) context.Context {
	return withRedis(trace.ContextWithSpan(ctx, trace.SpanFromContext(from)))
}
