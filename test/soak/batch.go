package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"cellblock/client"
)

// maxBatchJobs is the most jobs in a batch.
const maxBatchJobs = 30

// runBatch submits a batch, cancels one in five, and reads all results. The batch's jobs are also
// jobs of the load.
func (l *load) runBatch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*clientTimeout)
	defer cancel()
	jobs := make([]*job, 1+rand.IntN(maxBatchJobs))
	requests := make([]client.Request, len(jobs))
	for i := range jobs {
		jobs[i] = l.newJob(pick(plain))
		requests[i].Script = jobs[i].kind.body(jobs[i].number)
	}
	defer func() {
		for _, j := range jobs {
			l.add(j)
		}
	}()
	batch, err := l.submitBatch(ctx, requests, fmt.Sprintf("soak-batch-%d", jobs[0].number))
	if err != nil {
		jobs[0].problem = fmt.Sprintf("its batch is not accepted: %v", err)
		return
	}
	for _, member := range batch.Members {
		jobs[member.Index].id = member.JobID
	}
	if rand.IntN(5) == 0 {
		pause(ctx, time.Duration(rand.IntN(200))*time.Millisecond)
		// If the API is killed meanwhile, jobs may remain uncancelled; they just run.
		_, _ = l.service.CancelBatch(ctx, batch.BatchID)
		for _, j := range jobs {
			j.cancelled = true
		}
	}
	for result, err := range l.service.BatchResults(ctx, batch.BatchID, client.ResultsOptions{}) {
		if err != nil {
			jobs[0].problem = fmt.Sprintf("the results of its batch %s break off: %v", batch.BatchID, err)
			return
		}
		jobs[result.Index].endFromBatch(result)
	}
}

// submitBatch retries until the batch is accepted, for as long as the client of a single job does.
func (l *load) submitBatch(ctx context.Context, requests []client.Request,
	key string,
) (batch *client.BatchAccepted, err error) {
	for deadline := time.Now().Add(clientTimeout); time.Now().Before(deadline); pause(ctx, 50*time.Millisecond) {
		batch, err = l.service.SubmitBatch(ctx, requests, client.BatchOptions{IdempotencyKey: key})
		if err == nil && !slices.ContainsFunc(batch.Members, func(m client.BatchMember) bool { return m.JobID == "" }) {
			return batch, nil
		}
		if err == nil {
			err = fmt.Errorf("lines without a job: %+v", batch.Members)
		}
	}
	return nil, err
}

func (j *job) endFromBatch(result client.BatchResult) {
	switch {
	case j.ended:
		j.problem = "its result comes twice"
	case result.Job == nil:
		j.problem = fmt.Sprintf("its batch has %s for it: %s", result.Code, result.Error)
	case result.Job.JobID != j.id:
		j.problem = fmt.Sprintf("its batch has the job %s for it", result.Job.JobID)
	default:
		j.end(answer{JobID: j.id, Code: string(result.Job.Code), Result: result.Job.Result})
	}
}
