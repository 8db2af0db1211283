package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// readyTimeout bounds the readiness check.
const readyTimeout = time.Second

// GetHealth answers GET /healthz: the process lives.
func (h *Handler) GetHealth(w http.ResponseWriter, r *http.Request) {
	h.write(w, r, http.StatusOK, api.Health{Status: "ok"})
}

// GetReady answers GET /readyz: whether jobs can be accepted.
func (h *Handler) GetReady(w http.ResponseWriter, r *http.Request) {
	if h.draining.Err() != nil {
		h.fail(w, r, shuttingDown())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	workers, err := h.jobs.Ready(ctx)
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

// GetMetrics answers GET /metrics.
func (h *Handler) GetMetrics(w http.ResponseWriter, r *http.Request) {
	h.metrics.Handler().ServeHTTP(w, r)
}
