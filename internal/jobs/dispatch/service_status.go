package dispatch

import (
	"context"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
)

// ServiceStatus returns what the whole service has to do, for operators. It costs Redis five commands and a script for
// each environment; what the scripts read is bounded, however many jobs wait.
func (d *Dispatcher) ServiceStatus(ctx context.Context) (jobs.ServiceStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	var status jobs.ServiceStatus
	load, err := d.store.ReadLoad(ctx)
	if err != nil {
		return status, err
	}
	status.UsedMemory, status.MaxMemory = load.UsedMemory, load.MaxMemory
	if status.Webhooks, err = d.store.OpenWebhooks(ctx); err != nil {
		return status, err
	}
	workers, err := d.store.ListWorkers(ctx)
	if err != nil {
		return status, err
	}
	status.Queues = map[string]jobs.QueueStatus{jobs.DefaultEnvironment: {}}
	for _, name := range d.fleet.Load().names() {
		status.Queues[name] = jobs.QueueStatus{}
	}
	taken := addWorkers(&status, workers)
	return status, d.addWaiting(ctx, status.Queues, load.Open-taken)
}

// addWorkers adds the workers that take jobs. It returns how many jobs all workers have.
func addWorkers(status *jobs.ServiceStatus, workers []jobs.WorkerStatus) (taken int) {
	for _, worker := range workers {
		taken += worker.Busy
		if worker.Draining {
			continue
		}
		status.Workers++
		status.Slots += worker.Places
		status.Busy += worker.Busy
		for _, environment := range worker.Environments {
			of := status.Queues[environment.Name]
			of.Workers++
			status.Queues[environment.Name] = of
		}
	}
	return taken
}

// addWaiting adds what waits in each environment. open is the number of open jobs that no worker has.
func (d *Dispatcher) addWaiting(ctx context.Context, queues map[string]jobs.QueueStatus, open int) error {
	var standard queue.Waiting
	for name, of := range queues {
		waiting, err := d.producer.Waiting(ctx, name, store.WaitingSinceFunction)
		if err != nil {
			return err
		}
		open -= waiting.Held
		if name == jobs.DefaultEnvironment {
			standard = waiting
		} else {
			open -= waiting.Jobs
		}
		of.Waiting, of.Held, of.Oldest = waiting.Jobs, waiting.Held, waiting.Oldest
		queues[name] = of
	}
	// The ids of cancelled jobs stay in the queue of the default environment until a worker takes them; the reaper
	// removes those of others. asynq's list of taken jobs does not help: it keeps those of lost workers until another
	// worker comes.
	of := queues[jobs.DefaultEnvironment]
	if of.Waiting = max(0, open); !standard.IsPartial {
		of.Waiting = min(of.Waiting, standard.Jobs)
	}
	queues[jobs.DefaultEnvironment] = of
	return nil
}
