package dispatch

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

// An environment has the limits that its workers and the tenant allow.
func TestLimitsOfEnvironments(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	server := jobs.DefaultLimits().Requestable()
	small, short := server, server
	small.MemoryBytes, short.Wall = 64<<20, time.Second
	beat := func(worker, environment string, limits jobs.RequestedLimits) {
		t.Helper()
		offer := store.Offer{MaxLimits: limits, Environments: map[string]string{environment: "h"}}
		if err := s.store.Heartbeat(t.Context(), worker, time.Hour, offer); err != nil {
			t.Fatal(err)
		}
	}
	beat("1", jobs.DefaultEnvironment, small)
	beat("2", "science", small)
	beat("3", "science", short)
	beat("4", "gone", small)
	if err := s.store.DescribeEnvironments(t.Context(), []jobs.Environment{described("gone")}, time.Hour); err != nil {
		t.Fatal(err)
	}
	s.awaitFleet(t, "all environments", func(f *fleet) bool { return len(f.live) == 3 && len(f.described) == 1 })
	if err := s.store.RemoveWorker(t.Context(), "4"); err != nil {
		t.Fatal(err)
	}
	s.awaitFleet(t, "the end of one", func(f *fleet) bool { return len(f.live) == 2 })
	fewer := jobs.RequestedLimits{Processes: 5}
	for name, tc := range map[string]struct {
		bounds jobs.TenantLimits
		want   map[string][2]jobs.RequestedLimits // limits and the most
	}{
		"no bounds": {jobs.TenantLimits{}, map[string][2]jobs.RequestedLimits{
			"default": {small, small}, "science": {short, server}, "gone": {},
		}},
		"bounds": {jobs.TenantLimits{Largest: fewer}, map[string][2]jobs.RequestedLimits{
			"default": {small.LowerOf(fewer), small.LowerOf(fewer)},
			"science": {short.LowerOf(fewer), server.LowerOf(fewer)}, "gone": {},
		}},
	} {
		environments, err := s.Environments(as(t, "acme", tc.bounds))
		if err != nil || len(environments) != len(tc.want) {
			t.Fatalf("%s: %+v, %v", name, environments, err)
		}
		for _, got := range environments {
			if want := tc.want[got.Name]; got.Limits != want[0] || got.MaxLimits != want[1] {
				t.Errorf("%s: %s has %+v, at most %+v, want %+v", name, got.Name, got.Limits, got.MaxLimits, want)
			}
		}
	}
}
