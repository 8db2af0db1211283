package jobs

import (
	"bytes"
	"time"
)

const (
	// MaxBatch is how many jobs a batch may have.
	MaxBatch = 1000
	// MaxBatchBytes bounds the body that a batch comes in.
	MaxBatchBytes = 20 * mib
)

// BatchRequest is what a client asks for that hands in many jobs.
type BatchRequest struct {
	Lines []BatchLine
	// IdempotencyKey is the client's own, "" for none; Fingerprint stands for what
	// it came with.
	IdempotencyKey, Fingerprint string
}

// BatchLine is a job that is asked for, or why it is none.
type BatchLine struct {
	Request Request
	Err     *Error
}

// DecodeBatch reads a body of one request a line. Lines that are no requests have
// their error; empty ones do not count. CodeInvalidRequest if there is no line, or
// more than MaxBatch.
func DecodeBatch(body []byte) ([]BatchLine, *Error) {
	var lines []BatchLine
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
		lines = append(lines, BatchLine{Request: request, Err: err})
	}
	if n == 0 || n > MaxBatch {
		return nil, Errorf(CodeInvalidRequest, "a batch has 1 to %d jobs, a line each; this one has %d", MaxBatch, n)
	}
	return lines, nil
}

// Batch is where many jobs stand that came together.
type Batch struct {
	// ID is a UUID version 7 (RFC 9562).
	ID string
	// Times are Redis's. FinishedAt is zero until the last job ended.
	CreatedAt, FinishedAt time.Time
	Counts                BatchCounts
	// Members are what became of the lines; only where a batch is accepted.
	Members []BatchMember
}

// Ended tells whether all jobs have.
func (b Batch) Ended() bool { return !b.FinishedAt.IsZero() }

// BatchCounts are how many of a batch's jobs stand where; Total is their sum.
type BatchCounts struct {
	Total, Refused, Queued, Running, Succeeded, Failed, Cancelled int
}

// Count counts one more job in a state; "" for one that was refused.
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

// BatchMember is a job of a batch, or why a line is none.
type BatchMember struct {
	// JobID is "" where there is an Err.
	JobID string
	Err   *Error
}

// BatchResult is what a line of a batch gave.
type BatchResult struct {
	// Index is which line, from 0.
	Index int
	// Record is the job's; nil where there is an Err: the line was refused, or the
	// job has expired.
	Record *Record
	Err    *Error
}

// BatchPlace is a job's place in a batch. The zero value is that of a single job.
type BatchPlace struct {
	BatchID string
	Index   int
}
