package reaper_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/reaper"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

// Jobs end while reapers die at any moment, some of them before Redis's answer arrives: each job is counted once.
func TestUsageIsCountedOnceWhileReapersDie(t *testing.T) {
	t.Parallel()
	const ended = 60
	far := redistest.StartFar(t)
	b := newFixtureAt(t, redistest.Client(t, far.URL()), 0)
	far.Disturb(t, "latency", `"latency": 30`)
	var observed atomic.Int64
	for i := range ended {
		id := b.create(t, func(j *jobs.Job) { j.Tenant = "acme" })
		if _, err := b.End(t.Context(), id, jobs.Outcome{Result: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			b.reapFor(t, far.FarURL(), time.Duration(500+i*11)*time.Millisecond, &observed)
		}
	}
	b.reap(t, redistest.Client(t, far.URL()))
	counted := func() int64 {
		report, err := b.Usage(t.Context(), jobs.UsageQuery{Tenant: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		var sum jobs.DayUsage
		for _, row := range report.Days {
			sum.Add(row)
		}
		return sum.Jobs[jobs.OutcomeOK]
	}
	eventually(t, "all jobs are counted", func() bool { return counted() >= ended })
	if n := counted(); n != ended || observed.Load() > ended {
		t.Errorf("counted %d of %d jobs, observed %d", n, ended, observed.Load())
	}
	if n := b.client.LLen(t.Context(), "cellblock:{index}:usage").Val(); n != 0 {
		t.Errorf("%d lines are left", n)
	}
}

// reapFor runs a reaper for a time and ends it, wherever it is.
func (b *fixture) reapFor(t *testing.T, url string, d time.Duration, observed *atomic.Int64) {
	t.Helper()
	client := redistest.Client(t, url)
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	s := store.New(client, store.DefaultSettings())
	r := reaper.New(s, queue.NewProducer(client), slog.New(slog.DiscardHandler))
	r.ObserveEnds(func(counts []store.EndedCount) {
		for _, count := range counts {
			observed.Add(int64(count.Jobs))
		}
	})
	r.Run(ctx)
}
