package httpapi

import (
	"bytes"
	"net/http"

	"cellblock/api"
	"cellblock/internal/jobs"
)

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
		Members: make([]api.BatchMember, len(batch.Members)),
	}
	for i, member := range batch.Members {
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
func (s *resultStream) tell(results []jobs.BatchResult) error {
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
