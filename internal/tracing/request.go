package tracing

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// maxClientText bounds the bytes of an attribute that the client chose.
const maxClientText = 256

// RequestEnd is what is known of a request after its response. Texts may be empty.
type RequestEnd struct {
	// Route is the pattern of the route, without the ids in the path; "" if there is none.
	Route string
	// Status is that of the response, 0 if none was sent.
	Status int
	// Outcome is "ok", a code of the contract, or another word of the audit log.
	Outcome                string
	Tenant, RequestID      string
	JobID, BatchID, FileID string
}

// StartRequest starts the span of a request of a client at an address, as a child of the one that its header names. It
// returns a context with the span. end is called once.
func (t *Tracer) StartRequest(r *http.Request, client string) (_ context.Context, end func(RequestEnd)) {
	ctx := t.format.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	method, known := r.Method, isKnownMethod(r.Method)
	if !known {
		method = "HTTP"
	}
	ctx, span := t.newSpan(ctx, method, trace.SpanKindServer, trace.WithAttributes(requestAttributes(r, client)...))
	return ctx, func(e RequestEnd) {
		if span.IsRecording() {
			record(span, method, e)
		}
		span.End()
	}
}

func isKnownMethod(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return true
	default:
		return false
	}
}

// requestAttributes are those that are known before the response.
func requestAttributes(r *http.Request, client string) []attribute.KeyValue {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	attributes := []attribute.KeyValue{
		semconv.URLScheme(scheme), semconv.NetworkProtocolVersion(fmt.Sprintf("%d.%d", r.ProtoMajor, r.ProtoMinor)),
	}
	if isKnownMethod(r.Method) {
		attributes = append(attributes, semconv.HTTPRequestMethodKey.String(r.Method))
	} else {
		attributes = append(attributes, semconv.HTTPRequestMethodOther)
	}
	host, portText, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if port, err := strconv.Atoi(portText); err == nil {
		attributes = append(attributes, semconv.ServerPort(port))
	}
	return append(attributes, presentAttributes(map[attribute.Key]string{
		semconv.ServerAddressKey: bounded(host), semconv.ClientAddressKey: client,
		semconv.UserAgentOriginalKey: bounded(r.UserAgent()),
	})...)
}

// record adds what is known after the response. The path is that of the route: a client may have put anything into a
// path, also a key.
func record(span trace.Span, method string, e RequestEnd) {
	if e.Route != "" {
		span.SetName(method + " " + e.Route)
	}
	span.SetAttributes(presentAttributes(map[attribute.Key]string{
		semconv.HTTPRouteKey: e.Route, semconv.URLPathKey: e.Route, keyOutcome: e.Outcome, keyTenant: e.Tenant,
		keyRequestID: e.RequestID, keyJobID: e.JobID, keyBatchID: e.BatchID, keyFileID: e.FileID,
	})...)
	if e.Status != 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCode(e.Status))
	}
	if e.Status >= http.StatusInternalServerError {
		fail(span, e.Outcome)
	}
}

// bounded returns a text of the client that is not too long and valid UTF-8, which the protocol requires.
func bounded(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxClientText)], "\ufffd")
}
