package worker

import (
	"context"
	"slices"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
)

// Environments are what the sandboxes of a worker can have. They may change at any time.
type Environments interface {
	// List returns the current ones, the default among them, sorted by name, and a channel that is closed once there
	// are others.
	List() (current []jobs.Environment, changed <-chan struct{})
	// Ready returns how many sandboxes of each wait for a job, by name. One that is missing is not known.
	Ready() map[string]int
}

const (
	// descriptionTTL is how long the description of an environment is kept after its last worker: API servers that
	// are started while all workers are away still know it.
	descriptionTTL = 24 * time.Hour
	// describeInterval is how often a worker renews the descriptions.
	describeInterval = 10 * time.Minute
)

// onlyDefault is for a worker that is given no Environments.
type onlyDefault struct{}

func (onlyDefault) List() ([]jobs.Environment, <-chan struct{}) {
	return []jobs.Environment{{Name: jobs.DefaultEnvironment}}, nil
}

func (onlyDefault) Ready() map[string]int { return nil }

func namesOf(environments []jobs.Environment) []string {
	names := make([]string, len(environments))
	for i, environment := range environments {
		names[i] = environment.Name
	}
	return names
}

// hashes returns the hashes of the current environments by name.
func (w *Worker) hashes() map[string]string {
	current, _ := w.Environments.List()
	hashes := make(map[string]string, len(current))
	for _, environment := range current {
		hashes[environment.Name] = environment.Hash
	}
	return hashes
}

// has reports whether this worker can run jobs of an environment; "" is the default.
func (w *Worker) has(environment string) bool {
	if environment == "" {
		return true
	}
	current, _ := w.Environments.List()
	return slices.Contains(namesOf(current), environment)
}

// followEnvironments makes the consumer take the jobs of the environments that there are, and reports each change,
// until ctx is done.
func (w *Worker) followEnvironments(ctx context.Context, consumer *queue.Consumer) {
	for {
		current, changed := w.Environments.List()
		consumer.SetEnvironments(namesOf(current))
		if changed == nil {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
		w.reports.change()
		select {
		case w.beatNow <- struct{}{}:
		default: // one is due already
		}
	}
}

// describeEnvironments records what the environments are, once in a while and after a change. generation was current
// before the call.
func (w *Worker) describeEnvironments(ctx context.Context, generation int64) error {
	if time.Since(w.reports.lastDescribed()) < describeInterval {
		return nil
	}
	current, _ := w.Environments.List()
	var described []jobs.Environment
	for _, environment := range current {
		if environment.Hash != "" {
			described = append(described, environment)
		}
	}
	if len(described) > 0 {
		if err := w.Store.DescribeEnvironments(ctx, described, descriptionTTL); err != nil {
			return err
		}
	}
	w.reports.described(generation)
	return nil
}

// leaveElsewhere returns a job to the queue whose environment this worker does not have any more.
func (w *Worker) leaveElsewhere(job jobs.Job) error {
	w.Logger.Info("requeued job without environment", "job_id", job.ID, "request_id", job.RequestID, "environment",
		job.Environment)
	return w.requeue(job)
}
