package tracing

import (
	"context"

	"go.opentelemetry.io/otel/propagation"

	"cellblock/internal/jobs"
)

// The headers of W3C Trace Context, as the propagator names them.
const (
	headerParent = "traceparent"
	headerState  = "tracestate"
)

// carried returns the trace context of ctx's span; an empty one without a span.
func (t *Tracer) carried(ctx context.Context) jobs.TraceContext {
	carrier := propagation.MapCarrier{}
	t.format.Inject(ctx, carrier)
	return jobs.ParseTraceContext(carrier[headerParent], carrier[headerState])
}

// within returns a context in which spans are children of a trace context.
func (t *Tracer) within(ctx context.Context, of jobs.TraceContext) context.Context {
	if of.Parent == "" {
		return ctx
	}
	return t.format.Extract(ctx, propagation.MapCarrier{headerParent: of.Parent, headerState: of.State})
}
