package httpapi

import (
	"net/http"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// GetHealth handles GET /healthz, which succeeds while the process runs.
func (h *Handler) GetHealth(w http.ResponseWriter, r *http.Request) {
	h.writeJSON(w, r, http.StatusOK, api.Health{Status: "ok"})
}

// GetReady handles GET /readyz, which succeeds while jobs can be accepted.
func (h *Handler) GetReady(w http.ResponseWriter, r *http.Request) {
	if h.draining.Err() != nil {
		h.writeError(w, r, drainError())
		return
	}
	workers, err := h.jobs.Ready(r.Context())
	if err != nil {
		if jobs.CodeOf(err) == "" {
			err = jobs.Unavailable("Redis cannot be reached", err)
		}
		h.writeError(w, r, err)
		return
	}
	ready := api.Ready{Status: "ready", Workers: workers}
	// The names of environments are for those only who may list them.
	if caller, err := h.identify(r); err == nil && caller.May(jobs.ScopeRead) {
		ready.EnvironmentsWithoutWorkers = h.withoutWorkers(jobs.WithCaller(r.Context(), caller))
	}
	h.writeJSON(w, r, http.StatusOK, ready)
}

// GetMetrics handles GET /metrics.
func (h *Handler) GetMetrics(w http.ResponseWriter, r *http.Request) {
	h.metrics.Handler().ServeHTTP(w, r)
}
