package worker

import (
	"context"
	"time"

	"cellblock/internal/jobs/store"
	"cellblock/internal/redisconn"
)

// wishRecheck is how often the records of running jobs are checked for cancels and watches:
// messages may be lost.
const wishRecheck = time.Second

// hearWishes applies cancels and watches to running jobs, until ctx is done.
func (w *Worker) hearWishes(ctx context.Context) {
	redisconn.Listen(ctx, w.Client, store.CommandChannel, wishRecheck, w.fulfil, w.lookForWishes)
}

// fulfil applies a message of store.CommandChannel, if the job runs here. It is idempotent.
func (w *Worker) fulfil(message string) {
	switch wish, id := store.ParseCommand(message); wish {
	case store.CommandCancel:
		w.running.each(id, func(d *delivery) { d.cancel() })
	case store.CommandWatch:
		w.running.each(id, func(d *delivery) { d.watch() })
	}
}

func (w *Worker) lookForWishes(ctx context.Context) {
	ids := w.running.ids()
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	wishes, err := w.Store.PendingCommands(ctx, ids)
	if err != nil {
		w.Logger.Debug("cannot look for what is wanted of running jobs", "error", err)
		return
	}
	for _, wish := range wishes {
		w.fulfil(wish)
	}
}
