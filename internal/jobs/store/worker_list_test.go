package store_test

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

func TestListedWorkers(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	started := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	full := store.Offer{
		MaxLimits: jobs.DefaultLimits().Requestable(), Environments: map[string]string{"science": "b", "default": "a"},
		Report: &store.Report{Version: "v2", StartedAt: started, Places: 4, Ready: map[string]int{"default": 3}},
	}
	beat := func(owner string, ttl time.Duration, offer store.Offer, held ...string) {
		t.Helper()
		if err := s.Heartbeat(t.Context(), owner, ttl, offer, held...); err != nil {
			t.Fatal(err)
		}
	}
	beat("b/2", time.Hour, full, "job-1", "job-2")
	beat("b/1", time.Hour, store.Offer{Environments: map[string]string{"default": "a"}}) // of an earlier version
	beat("a/slash/3", 4*time.Second, store.Offer{})                                      // of the first one
	beat("gone/1", -time.Second, full, "job-3")
	beat("c/1", time.Hour, full)
	client.HSet(t.Context(), "{cellblock:workers}:limits", "c/1", `{"worker":[1]}`) // of a later one
	if err := s.MarkDraining(t.Context(), "b/2"); err != nil {
		t.Fatal(err)
	}
	now := client.Time(t.Context()).Val()
	workers, err := s.ListWorkers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]time.Duration{}
	for i := range workers {
		seen[workers[i].ID] = now.Sub(workers[i].LastSeenAt)
		workers[i].LastSeenAt = time.Time{}
	}
	want := []jobs.WorkerStatus{
		{ID: "a/slash/3", Host: "a/slash", Environments: []jobs.WorkerEnvironment{{Name: "default"}}},
		{ID: "b/1", Host: "b", Environments: []jobs.WorkerEnvironment{{Name: "default", Hash: "a"}}},
		{
			ID: "b/2", Host: "b", Version: "v2", StartedAt: started, Draining: true, Places: 4, Busy: 2,
			Environments: []jobs.WorkerEnvironment{
				{Name: "default", Hash: "a", Ready: new(3)}, {Name: "science", Hash: "b"},
			},
		},
		{ID: "c/1", Host: "c", Environments: []jobs.WorkerEnvironment{}},
	}
	if diff := cmp.Diff(want, workers); diff != "" {
		t.Error(diff)
	}
	for _, id := range []string{"a/slash/3", "b/2"} { // the TTL of the others is not known
		if age := seen[id]; age < -time.Second || age > time.Minute {
			t.Errorf("%s was seen %v ago", id, age)
		}
	}
	fleet, err := s.Fleet(t.Context())
	if limits := fleet.Limits("science"); err != nil || len(limits) != 0 {
		t.Errorf("a worker that is draining takes jobs within %v, %v", limits, err)
	}
	// It costs one script, and a command for each worker.
	before := calls(t, client)
	if _, err := s.ListWorkers(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, n := calls(t, client), 0
	for command := range maps.Keys(after) {
		if command != "info" {
			n += after[command] - before[command]
		}
	}
	if n > 5+len(workers)+1 {
		t.Errorf("it costs %d commands", n)
	}
}

// An earlier version reads what a worker of this one reports.
func TestOffersAreReadByAnEarlierVersion(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	offer := store.Offer{
		MaxLimits: jobs.DefaultLimits().Requestable(), Environments: map[string]string{"default": "a"},
		Report: &store.Report{
			Version: "v2", StartedAt: time.UnixMicro(7), Places: 4, Ready: map[string]int{"default": 3},
		},
	}
	if err := s.Heartbeat(t.Context(), "w/1", time.Second, offer); err != nil {
		t.Fatal(err)
	}
	const want = `{"wall_us":15000000,"cpu_us":10000000,"memory":734003200,"processes":64,"output":1048576,` +
		`"environments":{"default":"a"},` +
		`"worker":{"version":"v2","started_at":7,"places":4,"ready":{"default":3},"ttl":1000}}`
	if got := client.HGet(t.Context(), "{cellblock:workers}:limits", "w/1").Val(); got != want {
		t.Errorf("stored is %s", got)
	}
}
