package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// A worker's process has other settings than the API's; the API's decision applies.
func TestTheLifetimeThatWasDecidedAtAcceptanceCounts(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	worker := store.New(client, store.Settings{ResultTTL: time.Second, SyncResultTTL: time.Second})
	for name, c := range map[string]struct {
		change func(*jobs.Job)
		want   time.Duration
	}{
		"sync":         {func(*jobs.Job) {}, settings.SyncResultTTL},
		"async":        {func(j *jobs.Job) { j.Async = true }, settings.ResultTTL},
		"with webhook": {withWebhook, settings.ResultTTL},
		"its own":      {func(j *jobs.Job) { j.TTL = 7 * time.Minute }, 7 * time.Minute},
	} {
		job := createJob(t, s, c.change)
		taken, _, _, err := worker.Take(t.Context(), job.ID, "w", time.Second)
		if err != nil || worker.TTL(taken) != c.want {
			t.Errorf("%s: files are kept for %s, %v, want %s", name, worker.TTL(taken), err, c.want)
		}
		endJob(t, worker, job.ID, succeeded("1"))
		if ttl := client.PTTL(t.Context(), "cellblock:{"+job.ID+"}:job").Val(); ttl > c.want ||
			ttl < c.want-time.Minute {
			t.Errorf("%s: the record is kept for %s, want %s", name, ttl, c.want)
		}
	}
}

func TestLimitsTravelInTheRecord(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	limits := jobs.DefaultLimits().Requestable()
	limits.Wall = 1500 * time.Millisecond
	for _, want := range []jobs.RequestedLimits{{}, limits} {
		job := createJob(t, s, func(j *jobs.Job) { j.Limits = want })
		taken, _, _, err := s.Take(t.Context(), job.ID, "w", time.Second)
		if err != nil || taken.Limits != want {
			t.Errorf("got %+v, %v, want %+v", taken.Limits, err, want)
		}
	}
}

func TestTheFleetIsTheMaxLimitsOfWorkersThatTakeJobs(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	maxLimits := jobs.DefaultLimits().Requestable()
	beat := func(owner string, ttl time.Duration, within jobs.RequestedLimits) {
		if err := s.Heartbeat(t.Context(), owner, ttl, store.Offer{MaxLimits: within}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, n int) {
		t.Helper()
		fleet, err := s.Fleet(t.Context())
		if err != nil || len(fleet) != n {
			t.Errorf("%s: got %+v, %v, want %d", what, fleet, err, n)
		}
	}
	want("none", 0)
	beat("old", time.Hour, jobs.RequestedLimits{})
	none := jobs.RequestedLimits{}
	if fleet, err := s.Fleet(t.Context()); err != nil || len(fleet) != 1 || fleet[0].MaxLimits != none {
		t.Errorf("a worker that registers nothing: %+v, %v", fleet, err)
	}
	beat("new", time.Hour, maxLimits)
	beat("dead", -time.Minute, maxLimits)
	want("one is dead", 2)
	if err := s.MarkDraining(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	if fleet, err := s.Fleet(t.Context()); err != nil || len(fleet) != 1 || fleet[0].MaxLimits != maxLimits {
		t.Errorf("got %+v, %v", fleet, err)
	}
	beat("old", time.Hour, jobs.RequestedLimits{}) // which removes the dead workers
	if err := s.RemoveWorker(t.Context(), "new"); err != nil {
		t.Fatal(err)
	}
	if n := client.HLen(t.Context(), "{cellblock:workers}:limits").Val(); n != 0 {
		t.Errorf("%d workers that are gone are remembered", n)
	}
}

// damage lists values of policy fields that cannot be decoded: field and value.
var damage = map[string][2]string{
	"limits that are no JSON":   {"limits", "x"},
	"a negative limit":          {"limits", `{"wall_us":-1}`},
	"a limit that overflows":    {"limits", `{"wall_us":9223372036854775807}`},
	"a lifetime in words":       {"ttl", "soon"},
	"a negative lifetime":       {"ttl", "-5"},
	"no lifetime":               {"ttl", "0"},
	"a lifetime that overflows": {"ttl", "9223372036854775807"},
	"a start deadline in words": {"start_by", "soon"},
}

// A job with a damaged record is recognized as damaged and can be ended.
func TestADamagedPolicyKeepsNoJobFromEnding(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	for name, c := range damage {
		job := createJob(t, s)
		if err := client.HSet(t.Context(), "cellblock:{"+job.ID+"}:job", c[0], c[1]).Err(); err != nil {
			t.Fatal(err)
		}
		taken, state, _, err := s.Take(t.Context(), job.ID, "w", time.Second)
		if !errors.Is(err, store.ErrDamaged) || taken.ID != job.ID || state != jobs.StateQueued {
			t.Errorf("%s: got %+v, %s, %v", name, taken, state, err)
		}
		if dropped, err := s.WithdrawLate(t.Context(), job.ID); dropped || err != nil {
			t.Errorf("%s: dropped: %v, %v", name, dropped, err)
		}
		if !endJob(t, s, job.ID, failed(jobs.CodeInternal)) {
			t.Errorf("%s: the end does not stand", name)
		}
		if ttl := client.PTTL(t.Context(), "cellblock:{"+job.ID+"}:job").Val(); ttl <= 0 ||
			ttl > settings.SyncResultTTL {
			t.Errorf("%s: the record is kept for %s", name, ttl)
		}
	}
}

func TestDamagedLimitsOfAWorkerAreIgnored(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	maxLimits := jobs.DefaultLimits().Requestable()
	for _, owner := range []string{"good", "bad"} {
		if err := s.Heartbeat(t.Context(), owner, time.Hour, store.Offer{MaxLimits: maxLimits}); err != nil {
			t.Fatal(err)
		}
	}
	client.HSet(t.Context(), "{cellblock:workers}:limits", "bad", `{"memory":-1}`)
	if fleet, err := s.Fleet(t.Context()); err != nil || len(fleet) != 1 || fleet[0].MaxLimits != maxLimits {
		t.Errorf("got %+v, %v", fleet, err)
	}
}

func TestAJobThatNoWorkerAllowsIsWithdrawnNamingTheLimit(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	maxLimits := jobs.DefaultLimits().Requestable()
	job := createJob(t, s, func(j *jobs.Job) { j.Limits, j.StartWithin = maxLimits, time.Microsecond })
	maxLimits.MemoryBytes = 64 << 20
	if err := s.Heartbeat(t.Context(), "w", time.Hour, store.Offer{MaxLimits: maxLimits}); err != nil {
		t.Fatal(err)
	}
	if dropped, err := s.WithdrawLate(t.Context(), job.ID); !dropped || err != nil {
		t.Fatalf("dropped: %v, %v", dropped, err)
	}
	if f := getRecord(t, s, job.ID).Outcome.Failure; f.Code != jobs.CodeNotStarted ||
		!strings.HasPrefix(f.Message, "no worker allows memory_mb 700, ") {
		t.Errorf("got %+v", f)
	}
}
