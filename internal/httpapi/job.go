package httpapi

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// maxJobWait is the longest wait of GET /jobs/{id}.
const maxJobWait = 30 * time.Second

// GetJob handles GET /jobs/{id}.
func (h *Handler) GetJob(w http.ResponseWriter, r *http.Request, id api.JobID, params api.GetJobParams) {
	var wait time.Duration
	if params.Wait != nil {
		var err *jobs.Error
		if wait, err = parseWait(*params.Wait); err != nil {
			h.fail(w, r, err)
			return
		}
	}
	id, ok := jobs.ParseID(id)
	if !ok {
		h.fail(w, r, noJob())
		return
	}
	exchangeOf(r).jobID = id
	get := h.jobs.Get
	if r.Method == http.MethodHead {
		get = h.jobs.Describe
	}
	ctx, stop := h.waiting(r)
	defer stop()
	record, err := get(ctx, id, wait)
	if err != nil && drained(ctx) {
		record, err = get(r.Context(), id, 0)
	}
	defer record.Release()
	if err != nil {
		h.fail(w, r, err)
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
	h.write(w, r, http.StatusOK, jobBody(record, h.filesBody(r.Context(), record, params.InlineFiles)))
}

func noJob() *jobs.Error {
	return jobs.Errorf(jobs.CodeNotFound, "there is no such job, or it has expired")
}

// parseWait reads a wait: a number of seconds, or a number with a unit. Waits above maxJobWait
// become maxJobWait.
func parseWait(s string) (time.Duration, *jobs.Error) {
	wait, err := time.ParseDuration(s)
	if err != nil {
		seconds, numberErr := strconv.ParseFloat(s, 64)
		if numberErr != nil || math.IsNaN(seconds) {
			seconds = -1
		}
		wait = time.Duration(min(seconds, maxJobWait.Seconds()) * float64(time.Second))
	}
	if wait < 0 {
		return 0, jobs.Errorf(jobs.CodeInvalidRequest, `"wait" must be a time such as 10s, from 0 to 30s`)
	}
	return min(wait, maxJobWait), nil
}
