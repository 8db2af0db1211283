package jobs

import (
	"bytes"
	"time"
)

const (
	// MaxBatch is the maximum number of jobs in a batch.
	MaxBatch = 1000
	// MaxBatchBytes bounds the request body of a batch.
	MaxBatchBytes = 20 * mib
)

// BatchRequest is a client's request for a batch.
type BatchRequest struct {
	Items []ItemRequest
	// IdempotencyKey is the client's key, "" for none; Fingerprint identifies the request that used it.
	IdempotencyKey, Fingerprint string
}

// ItemRequest is the request for one job, or the error why it was refused.
type ItemRequest struct {
	Request Request
	Err     error
}

// DecodeBatch decodes a body with one request per line. An invalid request becomes an item with an error; empty lines
// are skipped. It returns an error with CodeInvalidRequest if there is no item, or more than MaxBatch.
func DecodeBatch(body []byte) ([]ItemRequest, error) {
	var items []ItemRequest
	n := 0
	for line := range bytes.Lines(withoutMark(body)) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if n++; n > MaxBatch {
			continue // only counted
		}
		request, err := DecodeRequest(line)
		if err == nil && request.Priority != "" && request.Priority != PriorityLow {
			err = Errorf(CodeInvalidRequest, `"priority" of a batch's job must be "low"`)
		}
		request.Async, request.Priority = true, PriorityBatch
		items = append(items, ItemRequest{Request: request, Err: err})
	}
	if n == 0 || n > MaxBatch {
		return nil, Errorf(CodeInvalidRequest, "a batch has 1 to %d jobs, a line each; this one has %d", MaxBatch, n)
	}
	return items, nil
}

// Batch is the state of a batch.
type Batch struct {
	// ID is a UUID version 7 (RFC 9562).
	ID string
	// Times are from Redis's clock. FinishedAt is zero until the last job has ended.
	CreatedAt, FinishedAt time.Time
	Counts                BatchCounts
	// Items are the results of accepting the items; set only when a batch is accepted.
	Items []AcceptedItem
}

// Ended reports whether all jobs have ended.
func (b Batch) Ended() bool { return !b.FinishedAt.IsZero() }

// BatchCounts are the numbers of a batch's jobs by state; Total is the number of items.
type BatchCounts struct {
	Total, Refused, Queued, Running, Succeeded, Failed, Cancelled int
}

// Count adds n jobs to the count of a state; "" means refused.
func (c *BatchCounts) Count(state State, n int) {
	switch state {
	case StateQueued:
		c.Queued += n
	case StateRunning:
		c.Running += n
	case StateSucceeded:
		c.Succeeded += n
	case StateFailed:
		c.Failed += n
	case StateCancelled:
		c.Cancelled += n
	default:
		c.Refused += n
	}
}

// AcceptedItem is the job of a batch item, or the error why the item was refused.
type AcceptedItem struct {
	// JobID is "" if Err is set.
	JobID string
	Err   *Error
}

// ItemResult is the result of a batch item.
type ItemResult struct {
	// Index is the position of the item in its batch, from 0.
	Index int
	// Record is the job's record; nil if Err is set: the item was refused, or the job has expired.
	Record *Record
	Err    *Error
}

// BatchItem identifies a job of a batch. The zero value is that of a single job.
type BatchItem struct {
	BatchID string
	Index   int
}
