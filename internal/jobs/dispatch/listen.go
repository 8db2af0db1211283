package dispatch

import (
	"context"

	"cellblock/internal/jobs/store"
	"cellblock/internal/redisconn"
)

// run wakes waiters on messages of this replica's channel and by periodic checks, until ctx is done.
func (d *Dispatcher) run(ctx context.Context) {
	d.measure(ctx)
	d.refreshFleet(ctx)
	redisconn.Listen(ctx, d.client, d.channel.Name, recheckInterval, d.notify, func(ctx context.Context) {
		d.recheck(ctx)
		d.measure(ctx)
		d.refreshFleet(ctx)
	})
}

// notify wakes the waiters on a key that was published on the channel: the id of an ended job, perhaps with its record,
// store.EventsKey of a watched one, or store.BatchKey.
func (d *Dispatcher) notify(message string) {
	key, record := store.ParseEnd(message)
	d.waiters.Notify(key, record)
	d.channel.Notify(key, struct{}{})
}

// recheck checks the jobs with waiters.
func (d *Dispatcher) recheck(ctx context.Context) {
	ids := d.waiters.Keys()
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	states, err := d.store.States(ctx, ids)
	if err != nil {
		d.logger.Warn("cannot check jobs with waiters", "jobs", len(ids), "error", err)
		return
	}
	for _, id := range ids {
		if state, found := states[id]; !found || state.Ended() {
			d.waiters.Notify(id, nil)
		}
	}
}
