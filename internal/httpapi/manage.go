package httpapi

import (
	"net/http"
	"slices"
	"strconv"

	"cellblock/api"
	"cellblock/internal/jobs"
)

const (
	defaultPage = 50
	maxPage     = 200
)

// CancelJob handles DELETE /jobs/{id}.
func (h *Handler) CancelJob(w http.ResponseWriter, r *http.Request, id api.JobID) {
	id, ok := jobs.ParseID(id)
	if !ok {
		h.fail(w, r, noJob())
		return
	}
	exchangeOf(r).jobID = id
	record, err := h.jobs.Cancel(r.Context(), id)
	defer record.Release()
	switch {
	case err != nil:
		h.fail(w, r, err)
	case !record.State.Ended():
		h.accepted(w, r, record)
	default:
		h.write(w, r, http.StatusOK, jobBody(record, nil))
	}
}

// ListJobs handles GET /jobs.
func (h *Handler) ListJobs(w http.ResponseWriter, r *http.Request, params api.ListJobsParams) {
	query, err := listQuery(params)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	page, failure := h.jobs.List(r.Context(), query)
	if failure != nil {
		h.fail(w, r, failure)
		return
	}
	body := api.JobList{Jobs: make([]api.JobSummary, len(page.Jobs))}
	for i, record := range page.Jobs {
		body.Jobs[i] = summaryBody(record)
	}
	if page.Next != "" {
		body.NextCursor = &page.Next
	}
	h.write(w, r, http.StatusOK, body)
}

func listQuery(params api.ListJobsParams) (jobs.ListQuery, *jobs.Error) {
	query := jobs.ListQuery{Limit: defaultPage}
	if params.Status != nil {
		query.State = jobs.State(*params.Status)
		if !slices.Contains(jobs.States(), query.State) {
			return query, jobs.Errorf(jobs.CodeInvalidRequest, `"status" must be queued, running, succeeded, failed or cancelled`)
		}
	}
	if params.Cursor != nil {
		var ok bool
		if query.Before, ok = jobs.ParseID(*params.Cursor); !ok {
			return query, jobs.Errorf(jobs.CodeInvalidRequest, `"cursor" must be the next_cursor of an earlier answer`)
		}
	}
	if params.Limit != nil {
		n, err := strconv.Atoi(*params.Limit)
		if err != nil || n < 1 || n > maxPage {
			return query, jobs.Errorf(jobs.CodeInvalidRequest, `"limit" must be a number from 1 to %d`, maxPage)
		}
		query.Limit = n
	}
	return query, nil
}

func summaryBody(record jobs.Record) api.JobSummary {
	return api.JobSummary{
		JobID:      record.ID,
		Status:     api.JobStatus(record.State),
		CreatedAt:  record.CreatedAt.UTC().Format(timeLayout),
		StartedAt:  timeOrNull(record.StartedAt),
		FinishedAt: timeOrNull(record.FinishedAt),
	}
}
