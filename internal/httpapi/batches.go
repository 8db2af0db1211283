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

// Batches accepts and manages batches. Its errors are those of Jobs.
type Batches interface {
	// SubmitBatch accepts many jobs and returns their batch with its items. Errors: CodeUnavailable, CodeQueueFull,
	// CodeIdempotencyMismatch.
	SubmitBatch(ctx context.Context, request jobs.BatchRequest, requestID string) (jobs.Batch, error)
	// GetBatch returns a batch once it has ended or wait has passed. Errors: CodeNotFound, CodeUnavailable.
	GetBatch(ctx context.Context, id string, wait time.Duration) (jobs.Batch, error)
	// CancelBatch cancels the jobs of a batch that have not ended. Errors: CodeNotFound, CodeUnavailable.
	CancelBatch(ctx context.Context, id string) (jobs.Batch, error)
	// BatchResults calls send with the results of the items, in the order in which they ended, without the first after
	// results. It calls send without results at the start if there are none yet, and each time none arrives within
	// idle. It returns nil after the last result, or without follow after the last one so far; otherwise send's error,
	// ctx's error, CodeNotFound or CodeUnavailable.
	BatchResults(
		ctx context.Context, id string, after int, follow bool, idle time.Duration, send func([]jobs.ItemResult) error,
	) error
}

// CreateBatch handles POST /batches.
func (h *Handler) CreateBatch(w http.ResponseWriter, r *http.Request, params api.CreateBatchParams) {
	release, err := h.bodies.acquire(w, r, jobs.MaxBatchBytes)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	defer release()
	request, err := h.readBatch(w, r, params.IdempotencyKey)
	switch {
	case err != nil:
		release()
		h.writeError(w, r, err)
		return
	case h.draining.Err() != nil:
		h.writeError(w, r, drainError())
		return
	}
	batch, err := h.batches.SubmitBatch(r.Context(), request, requestStateOf(r).requestID)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	requestStateOf(r).audit.SetBatch(batch.ID, len(batch.Items))
	w.Header().Set("Location", "/batches/"+batch.ID)
	h.writeJSON(w, r, http.StatusAccepted, acceptedBody(batch))
}

// readBatch reads and checks the body and the idempotency key.
func (h *Handler) readBatch(
	w http.ResponseWriter, r *http.Request, key *string,
) (request jobs.BatchRequest, err error) {
	contentType := r.Header.Get("Content-Type")
	mediaType, params, parseErr := mime.ParseMediaType(contentType)
	coding := r.Header.Get("Content-Encoding")
	if parseErr != nil || mediaType != ndjson || !isUTF8(params["charset"]) ||
		coding != "" && !strings.EqualFold(coding, "identity") {
		return request, jobs.Errorf(jobs.CodeUnsupportedMediaType,
			"the body must be application/x-ndjson in UTF-8, not %.100q, and not compressed; "+
				"with curl: -H 'Content-Type: application/x-ndjson' --data-binary @jobs.ndjson", contentType)
	}
	body, err := readBody(w, r, jobs.MaxBatchBytes, func([]byte) error { return jobs.BatchTooLarge() })
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
	if request.IdempotencyKey, err = decodeIdempotencyKey(key); request.IdempotencyKey != "" {
		request.Fingerprint = jobs.BatchFingerprint(request.Items)
	}
	return request, err
}

// GetBatch handles GET /batches/{id}.
func (h *Handler) GetBatch(w http.ResponseWriter, r *http.Request, id string, params api.GetBatchParams) {
	wait, err := parseWait(params.Wait)
	id, ok := jobs.ParseID(id)
	if err == nil && !ok {
		err = jobs.NotFound("batch")
	}
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	ctx, stop := h.readContext(r)
	defer stop()
	batch, err := h.batches.GetBatch(ctx, id, wait)
	if err != nil && endedByDrain(ctx) {
		batch, err = h.batches.GetBatch(r.Context(), id, 0)
	}
	h.respondBatch(w, r, batch, http.StatusOK, orUnauthorized(ctx, err))
}

// CancelBatch handles DELETE /batches/{id}.
func (h *Handler) CancelBatch(w http.ResponseWriter, r *http.Request, id string) {
	id, ok := jobs.ParseID(id)
	if !ok {
		h.writeError(w, r, jobs.NotFound("batch"))
		return
	}
	batch, err := h.batches.CancelBatch(r.Context(), id)
	h.respondBatch(w, r, batch, http.StatusAccepted, err)
}

// respondBatch responds with a batch, or with err; runningStatus is the status if the batch has not ended.
func (h *Handler) respondBatch(w http.ResponseWriter, r *http.Request, batch jobs.Batch, runningStatus int, err error) {
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	status := http.StatusOK
	if !batch.Ended() {
		status = runningStatus
		w.Header().Set("Retry-After", "1")
	}
	h.writeJSON(w, r, status, batchBody(batch))
}

// GetBatchResults handles GET /batches/{id}/results.
func (h *Handler) GetBatchResults(w http.ResponseWriter, r *http.Request, id string, params api.GetBatchResultsParams) {
	after, follow := 0, params.Follow == nil || *params.Follow
	if params.After != nil {
		var err error
		if after, err = strconv.Atoi(*params.After); err != nil || after < 0 || after > jobs.MaxBatch {
			h.writeError(w, r, jobs.Errorf(jobs.CodeInvalidRequest, `"after" must be a number from 0 to %d`,
				jobs.MaxBatch))
			return
		}
	}
	id, ok := jobs.ParseID(id)
	if !ok {
		h.writeError(w, r, jobs.NotFound("batch"))
		return
	}
	if r.Method == http.MethodHead {
		after, follow = jobs.MaxBatch, false // a HEAD response has no lines
	}
	ctx, stop := h.readContext(r)
	defer stop()
	stream := &resultStream{handler: h, w: w, r: r}
	err := h.batches.BatchResults(ctx, id, after, follow, heartbeat, stream.send)
	switch {
	case err == nil:
	case requestStateOf(r).status != 0:
		// Break the connection, or the client would take the lines so far for all of them.
		h.logger.DebugContext(r.Context(), "batch results aborted", "batch_id", id, "error", err)
		requestStateOf(r).resumable = endedByDrain(ctx) || endedByKey(ctx) || r.Context().Err() != nil
		panic(http.ErrAbortHandler)
	case endedByDrain(ctx):
		h.writeError(w, r, drainError())
	default:
		h.writeError(w, r, orUnauthorized(ctx, err))
	}
}

// batchBody returns a batch as responses encode it.
func batchBody(batch jobs.Batch) api.Batch {
	status := "running"
	if batch.Ended() {
		status = "ended"
	}
	return api.Batch{
		BatchID:    batch.ID,
		Status:     status,
		CreatedAt:  timestamp(batch.CreatedAt),
		FinishedAt: timestampOrNull(batch.FinishedAt),
		Counts:     api.BatchCounts(batch.Counts),
	}
}

// acceptedBody returns a new batch with its jobs and refused items.
func acceptedBody(batch jobs.Batch) api.BatchAccepted {
	b := batchBody(batch)
	body := api.BatchAccepted{
		BatchID: b.BatchID, Status: b.Status, CreatedAt: b.CreatedAt, FinishedAt: b.FinishedAt, Counts: b.Counts,
		Members: make([]api.BatchMember, len(batch.Items)),
	}
	for i, item := range batch.Items {
		body.Members[i] = api.BatchMember{Index: i, JobID: item.JobID}
		if item.Err != nil {
			body.Members[i].Error, body.Members[i].Code = item.Err.Message, api.ErrorCode(item.Err.Code)
		}
	}
	return body
}

// ndjson is the media type of batches and of their results.
const ndjson = "application/x-ndjson"

// resultStream writes the results of a batch, one per line.
type resultStream struct {
	handler *Handler
	w       http.ResponseWriter
	r       *http.Request
}

// send writes results; without any it writes an empty line, which keeps the connection alive.
func (s *resultStream) send(results []jobs.ItemResult) error {
	var text bytes.Buffer
	if begun := !beginStream(s.w, s.r, ndjson); begun && len(results) == 0 {
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
		if text.Len() < maxChunk {
			continue
		}
		if err := flush(s.w, text.Bytes()); err != nil {
			return err
		}
		text = bytes.Buffer{} // release its memory, which may be large
	}
	return flush(s.w, text.Bytes())
}
