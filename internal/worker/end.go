package worker

import (
	"context"
	"fmt"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redisconn"
)

const (
	// Pauses between attempts to reach Redis.
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
)

// storeFiles stores a job's files. If that fails, the job fails with CodeInternal: without its files the
// outcome would be incomplete.
func (w *Worker) storeFiles(job jobs.Job, outcome jobs.Outcome) jobs.Outcome {
	if len(outcome.Files) == 0 {
		return outcome
	}
	ctx, cancel := context.WithTimeout(w.storeCtx, filesTimeout)
	defer cancel()
	err := w.Files.Put(ctx, job.ID, outcome.Files, w.Store.TTL(job))
	if err != nil {
		w.Logger.Error("storing files failed", "job_id", job.ID, "request_id", job.RequestID, "error", err)
		outcome.Result, outcome.Files, outcome.FilesOmitted, outcome.Notes = nil, nil, nil, nil
		outcome.Displays, outcome.DisplaysOmitted, outcome.ExitCode = nil, nil, nil
		outcome.Failure = &jobs.Failure{
			Code: jobs.CodeInternal, Message: "the files that the script left could not be stored",
		}
	}
	return outcome
}

// end stores a job's end; it retries for EndPatience while Redis is unavailable.
func (w *Worker) end(job jobs.Job, outcome jobs.Outcome) error {
	return w.endBy(w.Store.End, job, outcome)
}

// endBy is end with another method of the store.
func (w *Worker) endBy(
	store func(context.Context, string, jobs.Outcome) (bool, error), job jobs.Job, outcome jobs.Outcome,
) error {
	var stands bool
	err := w.retryRedis(w.Settings.EndPatience, outcomeBytes(outcome), func(ctx context.Context) (err error) {
		stands, err = store(ctx, job.ID, outcome)
		return err
	})
	w.Metrics.JobEnded(outcome)
	result := string(outcome.State())
	if outcome.Failure != nil {
		result = string(outcome.Failure.Code)
	}
	logger := w.Logger.With("job_id", job.ID, "request_id", job.RequestID, "outcome", result,
		"queued_ms", outcome.Usage.QueuedMS, "prepare_ms", outcome.Usage.PrepareMS, "run_ms", outcome.Usage.RunMS)
	switch {
	case err != nil:
		logger.Error("storing end failed", "error", err)
		return fmt.Errorf("end: %w", err)
	case !stands:
		logger.Warn("job end not stored: ended or started elsewhere, or record gone")
	default:
		logger.Info("job ended")
	}
	return nil
}

// outcomeBytes estimates how many bytes are sent to store an outcome.
func outcomeBytes(outcome jobs.Outcome) int {
	return len(outcome.Result) + len(outcome.Stdout) + len(outcome.Stderr) + jobs.DisplaysSize(outcome.Displays)
}

// retryRedis calls try until it succeeds, or until timeout has passed or storeCtx is done. bytes is about how much each
// attempt transfers. It does not retry after CodeNotFound, which is final.
func (w *Worker) retryRedis(timeout time.Duration, bytes int, try func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(w.storeCtx, timeout)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		attempt, cancel := context.WithTimeout(ctx, commandTimeout+redisconn.TransferTime(bytes))
		err := try(attempt)
		cancel()
		if err == nil || jobs.CodeOf(err) == jobs.CodeNotFound {
			return err
		}
		w.Logger.Warn("storing job state failed, retrying", "error", err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("retries ended: %w", err)
		}
	}
}
