package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"cellblock/internal/jobs/store"
)

// reports is what Redis has of the worker, by what full heartbeats have reported. Several may be under way at once, and
// the environments may change meanwhile. It is safe for concurrent use.
type reports struct {
	mu sync.Mutex
	// generation counts what makes everything be reported anew, such as a change of the environments.
	generation int64
	// current and older are how many full heartbeats are under way that began in this generation, and before.
	current, older int
	// idle reports that the last full heartbeat has arrived, and reported no job.
	idle bool
	// describedAt is when the environments of this generation were last described.
	describedAt time.Time
}

// change makes the next heartbeat a full one with descriptions.
func (r *reports) change() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.generation++
	r.older += r.current
	r.current, r.idle, r.describedAt = 0, false, time.Time{}
}

// begin records that a full heartbeat begins to read what it reports, and returns the generation. The caller calls end.
func (r *reports) begin() (generation int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current++
	r.idle = false
	return r.generation
}

// end records the end of a full heartbeat, and whether it has arrived and reported no job. While one of an older
// generation is under way, it may replace what others have reported: then more full ones follow.
func (r *reports) end(generation int64, idle bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if generation != r.generation {
		r.older--
		r.idle = false
		return
	}
	r.current--
	r.idle = idle && r.older == 0
}

func (r *reports) isIdle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.idle
}

func (r *reports) notIdle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = false
}

// described records that the environments of a generation were described.
func (r *reports) described(generation int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if generation == r.generation {
		r.describedAt = time.Now()
	}
}

func (r *reports) lastDescribed() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.describedAt
}

// runHeartbeat sends heartbeats until ctx is done, and then signs off. It does not wait for the reply to one heartbeat
// before it sends the next, so the rate is the same over a slow link, and a broken connection delays one heartbeat
// only.
func (w *Worker) runHeartbeat(ctx context.Context) {
	ticker := time.NewTicker(w.heartbeatInterval)
	defer ticker.Stop()
	var beats sync.WaitGroup
	underWay := make(chan struct{}, maxHeartbeats)
	for {
		select {
		case underWay <- struct{}{}:
			beats.Go(func() {
				defer func() { <-underWay }()
				w.report("heartbeat", w.sendHeartbeat)
			})
		default:
		}
		select {
		case <-ticker.C:
		case <-w.beatNow:
		case <-ctx.Done():
			beats.Wait() // a heartbeat after the sign-off would undo it
			w.report("sign-off", func(ctx context.Context) error {
				return w.Store.RemoveWorker(ctx, w.owner)
			})
			return
		}
	}
}

func (w *Worker) sendHeartbeat(ctx context.Context) error {
	held := w.inFlight.ids()
	if n := w.heartbeats.Add(1); n%fullHeartbeat != 0 && len(held) == 0 && !w.draining.Load() && w.reports.isIdle() {
		if n%idleIntervals != 0 {
			return nil
		}
		known, err := w.Store.IdleHeartbeat(ctx, w.owner, w.livenessTTL)
		w.Metrics.SetRedisUp(err == nil)
		if known {
			return nil
		}
		if err != nil {
			w.reports.notIdle()
			return err
		}
		w.reports.change() // Redis may have lost all it had
	}
	generation := w.reports.begin()
	err := w.sendFull(ctx, generation, held)
	w.Metrics.SetRedisUp(err == nil)
	w.reports.end(generation, err == nil && len(held) == 0 && !w.draining.Load())
	return err
}

// sendFull sends a heartbeat with everything. generation was current before the call.
func (w *Worker) sendFull(ctx context.Context, generation int64, held []string) error {
	offer := store.Offer{
		MaxLimits: w.MaxLimits, Environments: w.hashes(), Changed: w.reports.lastDescribed().IsZero(),
		Report: &store.Report{
			Version: w.Version, StartedAt: w.startedAt, Places: w.Settings.Slots(), Ready: w.Environments.Ready(),
		},
	}
	err := w.Store.Heartbeat(ctx, w.owner, w.livenessTTL, offer, held...)
	if w.draining.Load() {
		err = errors.Join(err, w.Store.MarkDraining(ctx, w.owner))
	}
	if err == nil {
		err = w.describeEnvironments(ctx, generation)
	}
	return err
}

// report calls send with a timeout and logs its error.
func (w *Worker) report(what string, send func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), heartbeatTimeout)
	defer cancel()
	if err := send(ctx); err != nil {
		w.Logger.Warn("report to Redis failed", "report", what, "error", err)
	}
}
