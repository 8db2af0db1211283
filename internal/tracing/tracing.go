// Package tracing records what the service does for a request and its job as spans of OpenTelemetry, and exports them
// by OTLP. Its settings are the standard variables OTEL_*; without an endpoint there is no Tracer, and
// nothing of this package runs.
//
//	SERVER    POST /execute       the request, until its response; child of the client's traceparent
//	PRODUCER  └ send jobs         the job is stored and enqueued; the record of the job carries this span
//	INTERNAL    ├ wait            from the acceptance until a worker takes the job
//	CONSUMER    ├ process jobs    one delivery of the job to a worker; linked to the span above it too
//	INTERNAL    │ ├ prepare       the wait for a sandbox
//	INTERNAL    │ ├ run           the script
//	INTERNAL    │ └ store         files and the end of the job
//	CLIENT      └ POST webhook    one attempt
//
// Redis's commands within these are their children (redis.go).
//
// A status of Error means that the service failed at what the span names. A script that raises an exception or exceeds
// a limit was run as it should be: its code is in the attribute cellblock.outcome, and the status stays unset.
// Otherwise, the rate of errors of the service would be that of its users' scripts. An attempt at a webhook is one at a
// receiver, and has failed if the receiver did not accept it, as the conventions for HTTP clients have it.
//
// Attributes never have scripts, their output and files' names, tokens, queries, nor paths as clients wrote them: what
// a client puts there may be a secret.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
)

// flushTimeout bounds the export of the last spans. It is short: a collector that is gone must not hold up a shutdown.
const flushTimeout = 3 * time.Second

// Tracer records spans. It is safe for concurrent use. The methods of a nil Tracer that are documented so do nothing.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	format   propagation.TraceContext
	logger   *slog.Logger
}

// Open returns the tracer of a process, nil if no endpoint is set. service is the part of the service that the process
// is, which OTEL_SERVICE_NAME replaces. It returns an error for settings that it cannot follow; a collector that cannot
// be reached is none. The caller must call Close. There is one tracer in a process: the SDK reports failures of all of
// them in one place.
func Open(ctx context.Context, service, version string, logger *slog.Logger) (*Tracer, error) {
	settings, err := readSettings()
	if err != nil || settings.endpoint == "" {
		return nil, err
	}
	failures := newFailures(logger)
	otel.SetErrorHandler(failures)
	otel.SetLogger(logr.FromSlogHandler(failures.handler()))
	described, err := describe(ctx, service, version)
	if err != nil {
		return nil, err
	}
	exporter, err := settings.newExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the exporter of traces: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(described))
	logger.Info("exporting traces", "endpoint", settings.endpoint, "protocol", settings.protocol)
	return &Tracer{
		provider: provider, logger: logger,
		tracer: provider.Tracer("cellblock", trace.WithInstrumentationVersion(version),
			trace.WithSchemaURL(semconv.SchemaURL)),
	}, nil
}

// describe returns what all spans of the process have. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come last, so
// that they replace the rest.
func describe(ctx context.Context, service, version string) (*resource.Resource, error) {
	described, err := resource.New(ctx,
		resource.WithAttributes(
			semconv.ServiceName(service), semconv.ServiceVersion(version), semconv.ServiceInstanceID(uuid.NewString()),
		),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return described, nil
}

// Close exports the spans that have ended, for a few seconds at most, and stops. It does nothing to a nil Tracer.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.logger.Warn("the last traces were not exported", "error", err)
	}
}

// newSpan starts a span with attributes.
func (t *Tracer) newSpan(
	ctx context.Context, name string, kind trace.SpanKind, options ...trace.SpanStartOption,
) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, name, append(options, trace.WithSpanKind(kind))...)
}
