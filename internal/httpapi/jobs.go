package httpapi

import (
	"context"
	"net/http"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// Jobs accepts and manages jobs. Its errors are the context's, or a *jobs.Error for the client with one of the named
// codes. The caller calls release when it no longer uses the record.
type Jobs interface {
	// Submit accepts a job and returns its id and state without waiting for a worker. Errors: CodeUnavailable while
	// Redis is away, CodeQueueFull, CodeIdempotencyMismatch.
	Submit(ctx context.Context, request jobs.Request, requestID string) (jobs.Record, error)
	// Execute accepts a job and returns its record once it has ended or wait has passed. If ctx ends first, it returns
	// ctx's error, and a record with the ID if the job was accepted; the job continues unless Abandon withdraws it.
	// Errors: CodeUnavailable if Redis is away, or there is no worker and the job was withdrawn; CodeQueueFull,
	// CodeIdempotencyMismatch. stored is called once the job is stored or refused and its inputs are no longer held.
	Execute(
		ctx context.Context, request jobs.Request, requestID string, wait time.Duration, stored func(),
	) (record jobs.Record, release func(), err error)
	// Abandon withdraws a job whose client has disconnected and cannot know its id. It reports whether it did: a job
	// that has started continues. ctx may have ended.
	Abandon(ctx context.Context, id string) (withdrawn bool, err error)
	// Get returns a job's record once it has ended or wait has passed; with wait 0 at once. Errors: CodeNotFound,
	// CodeUnavailable.
	Get(ctx context.Context, id string, wait time.Duration) (record jobs.Record, release func(), err error)
	// Describe is Get for a response that needs neither the result nor the output: of the outcome, the record has only
	// the files.
	Describe(ctx context.Context, id string, wait time.Duration) (jobs.Record, error)
	// Cancel ends a job that has not ended. It returns the whole record, or only the id and state if the job is
	// running; its worker then kills it. Errors: CodeAlreadyFinished, CodeNotFound, CodeUnavailable.
	Cancel(ctx context.Context, id string) (record jobs.Record, release func(), err error)
	// List returns a page of jobs, newest first. Errors: CodeUnavailable.
	List(ctx context.Context, query jobs.ListQuery) (jobs.Page, error)
	// Ready returns the number of workers, or an error while jobs cannot be accepted.
	Ready(ctx context.Context) (workers int, err error)
}

// GetJob handles GET /jobs/{id}.
func (h *Handler) GetJob(w http.ResponseWriter, r *http.Request, id api.JobID, params api.GetJobParams) {
	wait, err := parseWait(params.Wait)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	id, ok := jobs.ParseID(id)
	if !ok {
		h.writeError(w, r, jobs.NotFound("job"))
		return
	}
	requestStateOf(r).jobID = id
	get := h.jobs.Get
	if r.Method == http.MethodHead {
		get = func(ctx context.Context, id string, wait time.Duration) (jobs.Record, func(), error) {
			record, err := h.jobs.Describe(ctx, id, wait)
			return record, func() {}, err
		}
	}
	ctx, stop := h.readContext(r)
	defer stop()
	record, release, err := get(ctx, id, wait)
	if err != nil && endedByDrain(ctx) {
		record, release, err = get(r.Context(), id, 0)
	}
	defer release()
	if err != nil {
		h.writeError(w, r, orUnauthorized(ctx, err))
		return
	}
	if !record.State.Ended() {
		w.Header().Set("Retry-After", "1")
	}
	if r.Method == http.MethodHead {
		// Without a Content-Length: computing it needs the whole record.
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		return
	}
	h.writeJSON(w, r, http.StatusOK, jobBody(record, h.filesBody(r.Context(), record, params.InlineFiles)))
}

// CancelJob handles DELETE /jobs/{id}.
func (h *Handler) CancelJob(w http.ResponseWriter, r *http.Request, id api.JobID) {
	id, ok := jobs.ParseID(id)
	if !ok {
		h.writeError(w, r, jobs.NotFound("job"))
		return
	}
	requestStateOf(r).jobID = id
	record, release, err := h.jobs.Cancel(r.Context(), id)
	defer release()
	switch {
	case err != nil:
		h.writeError(w, r, err)
	case !record.State.Ended():
		h.respondAccepted(w, r, record)
	default:
		h.writeJSON(w, r, http.StatusOK, jobBody(record, nil))
	}
}

// ListJobs handles GET /jobs.
func (h *Handler) ListJobs(w http.ResponseWriter, r *http.Request, params api.ListJobsParams) {
	query, err := listQuery(params, time.Now())
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	page, err := h.jobs.List(r.Context(), query)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	body := api.JobList{Jobs: make([]api.JobSummary, len(page.Jobs))}
	for i, record := range page.Jobs {
		body.Jobs[i] = summaryBody(record)
	}
	if page.Next != "" {
		body.NextCursor = &page.Next
	}
	h.writeJSON(w, r, http.StatusOK, body)
}

func summaryBody(record jobs.Record) api.JobSummary {
	return api.JobSummary{
		JobID:      record.ID,
		Status:     api.JobStatus(record.State),
		CreatedAt:  timestamp(record.CreatedAt),
		StartedAt:  timestampOrNull(record.StartedAt),
		FinishedAt: timestampOrNull(record.FinishedAt),
		Code:       api.ErrorCode(record.Code), Environment: record.Environment, Labels: record.Labels,
		Tenant: tenantBody(record.Tenant),
	}
}
