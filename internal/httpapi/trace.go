package httpapi

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"cellblock/internal/jobs"
	"cellblock/internal/tracing"
)

// trace records each request of the job API as a span, but not probes, scrapes and files of the pages. Without a tracer
// it notes the request's trace context for the jobs that the request creates.
func (h *Handler) trace(routes chi.Routes) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case !isJobAPI(r.URL.Path):
			case h.traces == nil:
				r = withTrace(r)
			default:
				ctx, end := h.traces.StartRequest(r, addressOf(r))
				r = r.WithContext(ctx)
				defer func() { end(requestEnd(routes, r)) }()
			}
			next.ServeHTTP(w, r)
		})
	}
}

// withTrace returns the request with the trace context of its headers in its context, if it has one.
func withTrace(r *http.Request) *http.Request {
	parents := r.Header.Values("Traceparent")
	if len(parents) != 1 {
		return r
	}
	trace := jobs.ParseTraceContext(parents[0], strings.Join(r.Header.Values("Tracestate"), ","))
	if trace.Parent == "" {
		return r
	}
	return r.WithContext(jobs.WithTrace(r.Context(), trace))
}

// requestEnd returns what a span has of a request, after its response.
func requestEnd(routes chi.Routes, r *http.Request) tracing.RequestEnd {
	line, route := endOf(routes, r)
	if line.Status == statusClientGone {
		line.Status = 0 // it was never sent
	}
	if route.pattern == "/*" {
		route.pattern = ""
	}
	return tracing.RequestEnd{
		Route: route.pattern, Status: line.Status, Outcome: line.Outcome, Tenant: line.Tenant,
		RequestID: line.RequestID, JobID: line.JobID, BatchID: line.BatchID, FileID: line.FileID,
	}
}
