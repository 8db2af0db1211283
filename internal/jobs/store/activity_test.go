package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

func activity(t *testing.T, s *store.Store, tenant jobs.Tenant) store.ActivityCounts {
	t.Helper()
	counts, err := s.Activity(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(counts.Minutes); n != jobs.ActivityMinutes {
		t.Fatalf("there are %d minutes", n)
	}
	return counts
}

// totals returns the sums of the minutes.
func totals(counts store.ActivityCounts) map[string]int64 {
	return jobs.Activity{Minutes: counts.Minutes}.Totals()
}

func TestEndsAreCountedByMinute(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	for i, tenant := range []jobs.Tenant{"acme", "acme", "acme", "beta", jobs.Operator} {
		outcome := succeeded("1")
		if i == 2 {
			outcome = failed(jobs.CodeTimeout)
		}
		endJob(t, s, createJob(t, s, of(tenant)).ID, outcome)
	}
	if got := totals(activity(t, s, "")); len(got) > 0 {
		t.Errorf("before the count there are %v", got)
	}
	countUsage(t, s)
	endJob(t, s, createJob(t, s, of("acme")).ID, succeeded("1"))
	countUsage(t, s)
	countUsage(t, s) // of nothing
	for tenant, want := range map[jobs.Tenant]map[string]int64{
		"": {"ok": 5, "timeout": 1}, "acme": {"ok": 3, "timeout": 1}, "beta": {"ok": 1}, jobs.Operator: {"ok": 1},
		"other": {},
	} {
		counts := activity(t, s, tenant)
		if diff := cmp.Diff(want, totals(counts)); diff != "" {
			t.Errorf("%q: %s", tenant, diff)
		}
		now, last := counts.At, counts.Minutes[jobs.ActivityMinutes-1]
		if age := now.Sub(last.At); age < 0 || age >= time.Minute || last.At.Second() != 0 {
			t.Errorf("at %v the last minute is that of %v", now, last.At)
		}
		for i, minute := range counts.Minutes[:jobs.ActivityMinutes-2] {
			if next := counts.Minutes[i+1].At; next.Sub(minute.At) != time.Minute || len(minute.Jobs) > 0 {
				t.Errorf("minute %d is %+v, and %v comes next", i, minute, next)
			}
		}
	}
	for _, key := range client.Keys(t.Context(), "cellblock:{usage}:*:minutes:*").Val() {
		if ttl := client.TTL(t.Context(), key).Val(); ttl < time.Hour || ttl > 2*time.Hour {
			t.Errorf("%s is kept for %v", key, ttl)
		}
	}
}

// The minutes are the last sixty, of two hours as a rule.
func TestTheMinutesOfTwoHours(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	var now time.Time
	for try := 0; ; try++ {
		now = client.Time(t.Context()).Val().UTC().Truncate(time.Minute)
		for ago := range 120 {
			at := now.Add(-time.Duration(ago) * time.Minute)
			key := fmt.Sprintf("cellblock:{usage}:acme:minutes:%d", at.Unix()/3600)
			client.HSet(t.Context(), key, fmt.Sprintf("%02d ok", at.Minute()), ago+1, "x", 1, "99 ok", 1, "-1 ok", 1)
		}
		counts := activity(t, s, "acme")
		if counts.At.Truncate(time.Minute).Equal(now) {
			for i, minute := range counts.Minutes {
				ago := jobs.ActivityMinutes - 1 - i
				want := jobs.ActivityMinute{
					At: now.Add(-time.Duration(ago) * time.Minute), Jobs: map[string]int64{"ok": int64(ago + 1)},
				}
				if diff := cmp.Diff(want, minute); diff != "" {
					t.Error(diff)
				}
			}
			return
		}
		if try > 3 { // a minute ended meanwhile
			t.Fatal("each try takes a minute")
		}
		client.FlushAll(t.Context())
	}
}

// Counts that something else has damaged keep no others from being counted.
func TestDamagedMinutesKeepNoOthersFromBeingCounted(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	hour := client.Time(t.Context()).Val().Unix() / 3600
	for _, key := range []int64{hour, hour + 1} {
		client.Set(t.Context(), fmt.Sprintf("cellblock:{usage}:acme:minutes:%d", key), "x", 0)
	}
	for _, tenant := range []jobs.Tenant{"acme", "beta"} {
		endJob(t, s, createJob(t, s, of(tenant)).ID, succeeded("1"))
	}
	countUsage(t, s)
	if diff := cmp.Diff(map[string]int64{"ok": 2}, totals(activity(t, s, ""))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int64{"ok": 1}, totals(activity(t, s, "beta"))); diff != "" {
		t.Error(diff)
	}
	if rows := readUsage(t, s, "acme"); len(rows) != 1 {
		t.Errorf("the usage of acme is %v", rows)
	}
}

// The ends of many jobs are counted by a few commands.
func TestTheMinutesCostNoCommandForEachJob(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	cost := func(n int) (all int) {
		for i := range n {
			client.RPush(t.Context(), usageList, fmt.Sprintf("t%d 20000 1 ok 1 1 1", i%2))
		}
		before := calls(t, client)
		countUsage(t, s)
		after := calls(t, client)
		for _, command := range []string{"hincrby", "expire"} {
			all += after[command] - before[command]
		}
		return all
	}
	if few, many := cost(10), cost(1000); few > 10 || many > few {
		t.Errorf("the minutes of 10 jobs cost %d commands, those of 1000 jobs %d", few, many)
	}
}

func TestOpenJobsOfTenants(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	for tenant, n := range map[jobs.Tenant]int{"acme": 2, "beta": 3, jobs.Operator: 1, "gone": 1} {
		for range n {
			createJob(t, s, of(tenant))
		}
	}
	client.HSet(t.Context(), openByTenant, "gone", -1) // off until the next count
	for tenant, want := range map[jobs.Tenant]struct {
		open    int
		tenants string
	}{
		"": {7, "beta acme operator"}, "acme": {2, "acme"}, "beta": {3, "beta"}, jobs.Operator: {2, "operator"},
		"gone": {0, ""}, "other": {0, ""},
	} {
		counts := activity(t, s, tenant)
		names := make([]string, len(counts.Tenants))
		for i, name := range counts.Tenants {
			names[i] = string(name)
		}
		got := strings.Join(names, " ")
		if tenant == "" { // two have as many
			got = strings.Replace(got, "operator acme", "acme operator", 1)
		}
		if counts.Open != want.open || got != want.tenants {
			t.Errorf("%q has %d open jobs of %q, want %+v", tenant, counts.Open, got, want)
		}
	}
}

func TestTheLongestWait(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	var ids []string
	for i, tenant := range []jobs.Tenant{"acme", "beta", "acme", jobs.Operator, "acme"} {
		job := createJob(t, s, of(tenant))
		at := client.Time(t.Context()).Val().Add(-time.Duration(500-100*i) * time.Second)
		client.HSet(t.Context(), jobKey(job.ID), "created_at", at.UnixMicro())
		ids = append(ids, job.ID)
	}
	endJob(t, s, ids[0], succeeded("1"))
	claimStart(t, s, ids[2], "token")
	shuffled := []string{ids[3], ids[1], ids[4], "no-job", ids[0], ids[2]}
	for tenant, want := range map[jobs.Tenant]time.Duration{
		"": 400 * time.Second, "beta": 400 * time.Second, "acme": 100 * time.Second, jobs.Operator: 200 * time.Second,
		"other": -1,
	} {
		wait, err := s.LongestWait(t.Context(), shuffled, tenant)
		switch {
		case err != nil:
			t.Error(err)
		case want < 0:
			if wait != nil {
				t.Errorf("%q waits for %v", tenant, wait)
			}
		case wait == nil || *wait < want || *wait > want+time.Minute:
			t.Errorf("%q waits for %v, want %v", tenant, wait, want)
		}
		n, err := s.CountOfTenant(t.Context(), shuffled, tenant)
		open := map[jobs.Tenant]int{"beta": 1, "acme": 2, jobs.Operator: 1}
		if tenant != "" && (err != nil || n != open[tenant]) {
			t.Errorf("%q has %d of the jobs, want %v; %v", tenant, n, open, err)
		}
	}
	if wait, err := s.LongestWait(t.Context(), nil, ""); wait != nil || err != nil {
		t.Errorf("of no jobs: %v, %v", wait, err)
	}
	if n, err := s.CountOfTenant(t.Context(), nil, "acme"); n != 0 || err != nil {
		t.Errorf("of no jobs: %d, %v", n, err)
	}
}
