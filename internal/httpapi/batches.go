package httpapi

import (
	"bytes"
	"context"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// Batches is the part of the job side that handles batches.
type Batches interface {
	// SubmitBatch accepts many jobs and returns their batch with its members. Errors:
	// CodeUnavailable, CodeQueueFull, CodeIdempotencyMismatch.
	SubmitBatch(ctx context.Context, request jobs.BatchRequest, requestID string) (jobs.Batch, error)
	// GetBatch returns a batch once it has ended or wait has passed. Errors: CodeNotFound,
	// CodeUnavailable.
	GetBatch(ctx context.Context, id string, wait time.Duration) (jobs.Batch, error)
	// CancelBatch cancels the jobs of a batch that have not ended. Errors: CodeNotFound,
	// CodeUnavailable.
	CancelBatch(ctx context.Context, id string) (jobs.Batch, error)
	// BatchResults calls tell with the results of the lines, in the order in which they ended,
	// starting after the first after results. It calls tell without results at the start if there
	// are none yet, and each time none arrives within idle. It returns nil after the last result;
	// otherwise tell's error, ctx's error, CodeNotFound or CodeUnavailable.
	BatchResults(ctx context.Context, id string, after int, follow bool, idle time.Duration, tell func([]jobs.ItemResult) error) error
}

// CreateBatch handles POST /batches.
func (h *Handler) CreateBatch(w http.ResponseWriter, r *http.Request, params api.CreateBatchParams) {
	release, err := h.room.take(r, jobs.MaxBatchBytes)
	if err != nil {
		w.Header().Set("Connection", "close") // the body is not read
		h.fail(w, r, err)
		return
	}
	defer release()
	request, err := h.readBatch(w, r, params.IdempotencyKey)
	switch {
	case err != nil:
		h.fail(w, r, err)
		return
	case h.draining.Err() != nil:
		h.fail(w, r, shuttingDown())
		return
	}
	batch, failure := h.batches.SubmitBatch(r.Context(), request, exchangeOf(r).requestID)
	if failure != nil {
		h.fail(w, r, failure)
		return
	}
	w.Header().Set("Location", "/batches/"+batch.ID)
	h.write(w, r, http.StatusAccepted, acceptedBody(batch))
}

// readBatch reads and checks the body and the idempotency key.
func (h *Handler) readBatch(w http.ResponseWriter, r *http.Request, key *string) (request jobs.BatchRequest, err *jobs.Error) {
	given := r.Header.Get("Content-Type")
	mediaType, params, parseErr := mime.ParseMediaType(given)
	coding := r.Header.Get("Content-Encoding")
	if parseErr != nil || mediaType != "application/x-ndjson" || !isUTF8(params["charset"]) || coding != "" && !strings.EqualFold(coding, "identity") {
		return request, jobs.Errorf(jobs.CodeUnsupportedMediaType, "the body must be application/x-ndjson in UTF-8, not %.100q, and not compressed; with curl: -H 'Content-Type: application/x-ndjson' --data-binary @jobs.ndjson", given)
	}
	body, err := readBody(w, r, jobs.MaxBatchBytes, func([]byte) *jobs.Error { return jobs.BatchTooLarge() })
	if err != nil {
		return request, err
	}
	if request.Items, err = jobs.DecodeBatch(body); err != nil {
		return request, err
	}
	for i, line := range request.Items {
		if line.Err == nil {
			request.Items[i].Err = h.checkRequest(line.Request)
		}
	}
	if request.IdempotencyKey, err = decodeKey(key); request.IdempotencyKey != "" {
		request.Fingerprint = jobs.BatchFingerprint(request.Items)
	}
	return request, err
}

// GetBatch handles GET /batches/{id}.
func (h *Handler) GetBatch(w http.ResponseWriter, r *http.Request, id string, params api.GetBatchParams) {
	var wait time.Duration
	var err *jobs.Error
	if params.Wait != nil {
		wait, err = parseWait(*params.Wait)
	}
	id, ok := jobs.ParseID(id)
	if err == nil && !ok {
		err = noBatch()
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	ctx, stop := h.waiting(r)
	defer stop()
	batch, failure := h.batches.GetBatch(ctx, id, wait)
	if failure != nil && drained(ctx) {
		batch, failure = h.batches.GetBatch(r.Context(), id, 0)
	}
	h.answerBatch(w, r, batch, http.StatusOK, failure)
}

// CancelBatch handles DELETE /batches/{id}.
func (h *Handler) CancelBatch(w http.ResponseWriter, r *http.Request, id string) {
	id, ok := jobs.ParseID(id)
	if !ok {
		h.fail(w, r, noBatch())
		return
	}
	batch, err := h.batches.CancelBatch(r.Context(), id)
	h.answerBatch(w, r, batch, http.StatusAccepted, err)
}

// answerBatch responds with a batch; goingOn is the status if it has not ended.
func (h *Handler) answerBatch(w http.ResponseWriter, r *http.Request, batch jobs.Batch, goingOn int, err error) {
	if err != nil {
		h.fail(w, r, err)
		return
	}
	status := http.StatusOK
	if !batch.Ended() {
		status = goingOn
		w.Header().Set("Retry-After", "1")
	}
	h.write(w, r, status, batchBody(batch))
}

// GetBatchResults handles GET /batches/{id}/results.
func (h *Handler) GetBatchResults(w http.ResponseWriter, r *http.Request, id string, params api.GetBatchResultsParams) {
	after, follow := 0, params.Follow == nil || *params.Follow
	if params.After != nil {
		var err error
		if after, err = strconv.Atoi(*params.After); err != nil || after < 0 || after > jobs.MaxBatch {
			h.fail(w, r, jobs.Errorf(jobs.CodeInvalidRequest, `"after" must be a number from 0 to %d`, jobs.MaxBatch))
			return
		}
	}
	id, ok := jobs.ParseID(id)
	if !ok {
		h.fail(w, r, noBatch())
		return
	}
	if r.Method == http.MethodHead {
		after, follow = jobs.MaxBatch, false // a HEAD response has no lines
	}
	ctx, stop := h.waiting(r)
	defer stop()
	stream := &resultStream{handler: h, w: w, r: r}
	err := h.batches.BatchResults(ctx, id, after, follow, heartbeat, stream.tell)
	switch {
	case err == nil:
	case exchangeOf(r).status != 0:
		// Break the connection, or the client would take the lines so far for all of them.
		h.logger.DebugContext(r.Context(), "a batch's results broke off", "batch_id", id, "error", err)
		exchangeOf(r).cut = drained(ctx) || r.Context().Err() != nil
		panic(http.ErrAbortHandler)
	case drained(ctx):
		h.fail(w, r, shuttingDown())
	default:
		h.fail(w, r, err)
	}
}

func noBatch() *jobs.Error {
	return jobs.Errorf(jobs.CodeNotFound, "there is no such batch, or it has expired")
}

func batchBody(batch jobs.Batch) api.Batch {
	status := "running"
	if batch.Ended() {
		status = "ended"
	}
	return api.Batch{
		BatchID:    batch.ID,
		Status:     status,
		CreatedAt:  batch.CreatedAt.UTC().Format(timeLayout),
		FinishedAt: timeOrNull(batch.FinishedAt),
		Counts:     api.BatchCounts(batch.Counts),
	}
}

func acceptedBody(batch jobs.Batch) api.BatchAccepted {
	about := batchBody(batch)
	body := api.BatchAccepted{
		BatchID: about.BatchID, Status: about.Status, CreatedAt: about.CreatedAt, FinishedAt: about.FinishedAt, Counts: about.Counts,
		Members: make([]api.BatchMember, len(batch.Items)),
	}
	for i, member := range batch.Items {
		body.Members[i] = api.BatchMember{Index: i, JobID: member.JobID}
		if member.Err != nil {
			body.Members[i].Error, body.Members[i].Code = member.Err.Message, api.ErrorCode(member.Err.Code)
		}
	}
	return body
}

// resultStream writes the results of a batch, one per line.
type resultStream struct {
	handler *Handler
	w       http.ResponseWriter
	r       *http.Request
}

// tell writes results; without any it writes an empty line, which keeps the connection alive.
func (s *resultStream) tell(results []jobs.ItemResult) error {
	var text bytes.Buffer
	if begun := !beginStream(s.w, s.r, "application/x-ndjson"); begun && len(results) == 0 {
		text.WriteByte('\n')
	}
	for _, result := range results {
		body := api.BatchResult{Index: result.Index}
		if result.Err != nil {
			body.Error, body.Code = result.Err.Message, api.ErrorCode(result.Err.Code)
		} else {
			job := jobBody(*result.Record, s.handler.filesBody(s.r.Context(), *result.Record, nil))
			body.Job = &job
		}
		line, err := encodeLine(body)
		if err != nil {
			return err
		}
		text.Write(line)
		text.WriteByte('\n')
		if text.Len() < maxPart {
			continue
		}
		if err := flush(s.w, text.Bytes()); err != nil {
			return err
		}
		text = bytes.Buffer{} // release its memory, which may be large
	}
	return flush(s.w, text.Bytes())
}
