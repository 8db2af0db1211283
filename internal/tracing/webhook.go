package tracing

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"cellblock/internal/jobs"
)

// StartAttempt starts the span of an attempt at the webhook of record, and adds to header what lets the receiver
// continue the trace. It returns a context with the span. end is called once, with the status of the response (0 for
// none) and the failure reason ("" for success).
func (t *Tracer) StartAttempt(
	ctx context.Context, record jobs.Record, header http.Header,
) (_ context.Context, end func(status int, failureReason string)) {
	webhook := record.Webhook
	attributes := append(addressOf(webhook.URL),
		semconv.HTTPRequestMethodPost, keyJobID.String(record.ID), keyTenant.String(string(record.Tenant)))
	if webhook.Attempts > 1 {
		attributes = append(attributes, semconv.HTTPRequestResendCount(webhook.Attempts-1))
	}
	ctx, span := t.newSpan(t.within(ctx, webhook.Trace), "POST webhook", trace.SpanKindClient,
		trace.WithAttributes(attributes...))
	t.format.Inject(ctx, propagation.HeaderCarrier(header))
	return ctx, func(status int, failureReason string) {
		if status != 0 {
			span.SetAttributes(semconv.HTTPResponseStatusCode(status))
		}
		if failureReason == "" {
			failureReason = jobs.OutcomeOK
		} else {
			fail(span, failureReason)
		}
		span.SetAttributes(keyOutcome.String(failureReason))
		span.End()
	}
}

// defaultPorts are those of the schemes.
var defaultPorts = map[string]int{"http": 80, "https": 443}

// addressOf returns the attributes of a webhook's URL: not its query, nor its path, which is a secret at many services.
func addressOf(webhookURL string) []attribute.KeyValue {
	parsed, err := url.Parse(webhookURL)
	if err != nil {
		return nil
	}
	port, err := strconv.Atoi(parsed.Port())
	if err != nil {
		port = defaultPorts[parsed.Scheme]
	}
	return []attribute.KeyValue{
		semconv.URLFull(parsed.Scheme + "://" + parsed.Host + "/REDACTED"),
		semconv.ServerAddress(parsed.Hostname()), semconv.ServerPort(port),
	}
}
