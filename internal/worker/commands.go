package worker

import (
	"context"
	"time"

	"cellblock/internal/jobs/store"
	"cellblock/internal/redisconn"
)

// commandRecheck is how often the worker polls the records of running jobs for cancels and watches, since Pub/Sub may
// lose messages.
const commandRecheck = time.Second

// runCommandListener applies cancels and watches to running jobs until ctx is done.
func (w *Worker) runCommandListener(ctx context.Context) {
	redisconn.Listen(ctx, w.Client, store.CommandChannel(w.owner), commandRecheck, w.apply, w.pollCommands)
}

// apply applies a message of store.CommandChannel, if the job runs here. It is idempotent.
func (w *Worker) apply(message string) {
	switch command, id := store.ParseCommand(message); command {
	case store.CommandCancel:
		w.running.each(id, func(d *delivery) { d.cancel() })
	case store.CommandWatch:
		w.running.each(id, func(d *delivery) { d.watch() })
	}
}

// pollCommands applies the commands in the records of the running jobs.
func (w *Worker) pollCommands(ctx context.Context) {
	ids := w.running.ids()
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	commands, err := w.Store.PendingCommands(ctx, ids)
	if err != nil {
		w.Logger.Debug("polling commands failed", "error", err)
		return
	}
	for _, command := range commands {
		w.apply(command)
	}
}
