package tracing

import (
	"cmp"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"cellblock/internal/jobs"
)

// The attributes of our own; docs/operations.md lists them.
const (
	keyJobID       = attribute.Key("cellblock.job.id")
	keyBatchID     = attribute.Key("cellblock.batch.id")
	keyFileID      = attribute.Key("cellblock.file.id")
	keyRequestID   = attribute.Key("cellblock.request.id")
	keyTenant      = attribute.Key("cellblock.tenant")
	keyEnvironment = attribute.Key("cellblock.environment")
	keyEntry       = attribute.Key("cellblock.entry")
	keyAttempt     = attribute.Key("cellblock.delivery.attempt")
	// keyOutcome is "ok" or a code of the contract; for an attempt at a webhook, the reason of its failure.
	keyOutcome = attribute.Key("cellblock.outcome")
)

// The queue, as the conventions for messaging name it.
const (
	queueSystem = "asynq"
	queueName   = "jobs"
)

// serviceCodes are the codes of failures of the service itself.
var serviceCodes = []jobs.Code{
	jobs.CodeInternal, jobs.CodeWorkerLost, jobs.CodeUnavailable, jobs.CodeNotStarted, jobs.CodeStorageFull,
}

// jobAttributes are those of a span that concerns a job.
func jobAttributes(job jobs.Job) []attribute.KeyValue {
	return append(presentAttributes(map[attribute.Key]string{
		keyJobID: job.ID, keyBatchID: job.BatchItem.BatchID, keyRequestID: job.RequestID,
	}), keyTenant.String(string(job.Tenant)),
		keyEnvironment.String(cmp.Or(job.Environment, jobs.DefaultEnvironment)),
		keyEntry.String(cmp.Or(string(job.Entry), "main")))
}

// messageAttributes are those of a span about the message with which a job is queued, as the conventions for messaging
// name them.
func messageAttributes(job jobs.Job, operation string, kind attribute.KeyValue) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKey.String(queueSystem), semconv.MessagingDestinationName(queueName),
		semconv.MessagingOperationName(operation), kind, semconv.MessagingMessageID(job.ID),
	}
}

// presentAttributes are those that are not empty.
func presentAttributes(values map[attribute.Key]string) (present []attribute.KeyValue) {
	for key, value := range values {
		if value != "" {
			present = append(present, key.String(value))
		}
	}
	return present
}

// setOutcome records how what the span names ended: with a code, "" for none.
func setOutcome(span trace.Span, code jobs.Code) {
	if code == "" {
		span.SetAttributes(keyOutcome.String(jobs.OutcomeOK))
		return
	}
	span.SetAttributes(keyOutcome.String(string(code)))
	if slices.Contains(serviceCodes, code) {
		fail(span, string(code))
	}
}

// fail sets the status of a span to Error. There is no description: messages of errors may quote anything.
func fail(span trace.Span, kind string) {
	span.SetAttributes(semconv.ErrorTypeKey.String(kind))
	span.SetStatus(codes.Error, "")
}

// endStep ends the span of a step of the service's own, of which every error is the service's.
func endStep(span trace.Span, err error) {
	if err != nil {
		fail(span, string(jobs.CodeInternal))
	}
	span.End()
}

// endWith ends a span by an error, nil for none. One without a code is the service's.
func endWith(span trace.Span, err error) {
	if err != nil && jobs.CodeOf(err) == "" {
		fail(span, string(jobs.CodeInternal))
	} else {
		setOutcome(span, jobs.CodeOf(err))
	}
	span.End()
}
