package httpapi

import (
	"errors"
	"net/http"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// GetHealth handles GET /healthz: the process runs.
func (h *Handler) GetHealth(w http.ResponseWriter, r *http.Request) {
	h.write(w, r, http.StatusOK, api.Health{Status: "ok"})
}

// GetReady handles GET /readyz: whether jobs can be accepted.
func (h *Handler) GetReady(w http.ResponseWriter, r *http.Request) {
	if h.draining.Err() != nil {
		h.fail(w, r, shuttingDown())
		return
	}
	workers, err := h.jobs.Ready(r.Context())
	if err != nil {
		h.fail(w, r, notReady(err))
		return
	}
	h.write(w, r, http.StatusOK, api.Ready{Status: "ready", Workers: workers})
}

func notReady(err error) *jobs.Error {
	var told *jobs.Error
	if errors.As(err, &told) {
		return told
	}
	return &jobs.Error{Code: jobs.CodeUnavailable, Message: "Redis cannot be reached", Cause: err}
}

// GetMetrics handles GET /metrics.
func (h *Handler) GetMetrics(w http.ResponseWriter, r *http.Request) {
	h.metrics.Handler().ServeHTTP(w, r)
}
