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

// storeEnd stores a job's files and its end.
func (w *Worker) storeEnd(ctx context.Context, job jobs.Job, outcome jobs.Outcome) (err error) {
	of := ctx
	ctx, endSpan := w.Traces.StartStep(ctx, "store")
	defer func() { endSpan(err) }()
	stored := w.storeFiles(ctx, job, outcome)
	if stored.Failure != outcome.Failure { // the files could not be stored
		w.Traces.SetOutcome(ctx, stored)
	}
	w.Traces.SetOutcome(of, stored)
	return w.endBy(ctx, w.Store.End, job, stored)
}

// storeFiles stores a job's files. If that fails, the job fails with CodeInternal: without its files the
// outcome would be incomplete.
func (w *Worker) storeFiles(ctx context.Context, job jobs.Job, outcome jobs.Outcome) jobs.Outcome {
	if len(outcome.Files) == 0 {
		return outcome
	}
	bounded, cancel := context.WithTimeout(ctx, filesTimeout)
	defer cancel()
	err := w.Files.Put(bounded, job.ID, outcome.Files, w.Store.TTL(job))
	if err != nil {
		w.Logger.ErrorContext(ctx, "storing files failed", "job_id", job.ID, "request_id", job.RequestID, "error", err)
		outcome.Result, outcome.Files, outcome.FilesOmitted, outcome.Notes = nil, nil, nil, nil
		outcome.Displays, outcome.DisplaysOmitted, outcome.ExitCode = nil, nil, nil
		outcome.Failure = &jobs.Failure{
			Code: jobs.CodeInternal, Message: "the files that the script left could not be stored",
		}
	}
	return outcome
}

// endBy stores a job's end by a method of the store; it retries for EndPatience while Redis is unavailable.
func (w *Worker) endBy(
	ctx context.Context, store func(context.Context, string, jobs.Outcome) (bool, error), job jobs.Job,
	outcome jobs.Outcome,
) error {
	var stands bool
	err := w.retryRedis(ctx, w.Settings.EndPatience, outcomeBytes(outcome), func(ctx context.Context) (err error) {
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
		logger.ErrorContext(ctx, "storing end failed", "error", err)
		return fmt.Errorf("end: %w", err)
	case !stands:
		logger.WarnContext(ctx, "job end not stored: ended or started elsewhere, or record gone")
	default:
		logger.InfoContext(ctx, "job ended")
	}
	return nil
}

// outcomeBytes estimates how many bytes are sent to store an outcome.
func outcomeBytes(outcome jobs.Outcome) int {
	return len(outcome.Result) + len(outcome.Stdout) + len(outcome.Stderr) + jobs.DisplaysSize(outcome.Displays)
}

// retryRedis calls try until it succeeds, or until timeout has passed or ctx is done. bytes is about how much each
// attempt transfers. It does not retry after CodeNotFound, which is final.
func (w *Worker) retryRedis(
	ctx context.Context, timeout time.Duration, bytes int, try func(ctx context.Context) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		attempt, cancel := context.WithTimeout(ctx, commandTimeout+redisconn.TransferTime(bytes))
		err := try(attempt)
		cancel()
		if err == nil || jobs.CodeOf(err) == jobs.CodeNotFound {
			return err
		}
		w.Logger.WarnContext(ctx, "storing job state failed, retrying", "error", err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("retries ended: %w", err)
		}
	}
}
