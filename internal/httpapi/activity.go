package httpapi

import (
	"context"
	"net/http"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// Activity knows what happens now.
type Activity interface {
	// Activity returns the activity of a tenant, as far as the caller sees it; "" is all that the caller sees. Errors:
	// CodeNotFound for a tenant that the caller does not see, CodeUnavailable.
	Activity(ctx context.Context, tenant jobs.Tenant) (jobs.Activity, error)
	// ListWorkers returns the live workers, ordered by host and id. Errors: CodeUnavailable.
	ListWorkers(ctx context.Context) ([]jobs.WorkerStatus, error)
}

// GetActivity handles GET /activity.
func (h *Handler) GetActivity(w http.ResponseWriter, r *http.Request, params api.GetActivityParams) {
	tenant, err := tenantParameter(params.Tenant)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	activity, err := h.activity.Activity(r.Context(), tenant)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	h.writeJSON(w, r, http.StatusOK, activityBody(activity))
}

func activityBody(activity jobs.Activity) api.Activity {
	body := api.Activity{
		At: timestamp(activity.At), Queued: activity.Queued, Running: activity.Running,
		Minutes: make([]api.ActivityMinute, len(activity.Minutes)), Totals: activity.Totals(),
	}
	if activity.OldestWait != nil {
		body.OldestWaitSeconds = new(activity.OldestWait.Seconds())
	}
	for i, minute := range activity.Minutes {
		body.Minutes[i] = api.ActivityMinute{At: minute.At.UTC().Format(time.RFC3339), Jobs: minute.Jobs}
	}
	return body
}

// tenantParameter returns the tenant that the query parameter "tenant" names; "" for nil.
func tenantParameter(text *string) (jobs.Tenant, error) {
	if text == nil {
		return "", nil
	}
	if !jobs.IsTenantName(*text) {
		return "", jobs.Errorf(jobs.CodeInvalidRequest, `"tenant" must be the name of a tenant`)
	}
	return jobs.Tenant(*text), nil
}

// ListWorkers handles GET /workers.
func (h *Handler) ListWorkers(w http.ResponseWriter, r *http.Request) {
	workers, err := h.activity.ListWorkers(r.Context())
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	body := api.WorkerList{Workers: make([]api.Worker, len(workers))}
	for i, worker := range workers {
		body.Workers[i] = workerBody(worker)
	}
	h.writeJSON(w, r, http.StatusOK, body)
}

func workerBody(worker jobs.WorkerStatus) api.Worker {
	body := api.Worker{
		WorkerID: worker.ID, Host: worker.Host, StartedAt: timestampOrNull(worker.StartedAt),
		LastSeenAt: timestamp(worker.LastSeenAt), Status: "active", Busy: worker.Busy,
		Environments: make([]api.WorkerEnvironment, len(worker.Environments)),
	}
	if worker.Draining {
		body.Status = "draining"
	}
	if worker.Version != "" {
		body.Version = &worker.Version
	}
	if worker.Places > 0 {
		body.Places = &worker.Places
	}
	for i, environment := range worker.Environments {
		body.Environments[i] = api.WorkerEnvironment{
			Name: environment.Name, Hash: environment.Hash, Ready: environment.Ready,
		}
	}
	return body
}
