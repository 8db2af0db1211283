package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redisparts"
	"cellblock/internal/redistest"
)

// fourParts returns a store over four parts of one Redis, and a client that sees the names of all keys.
func fourParts(t *testing.T) (*store.Store, redisparts.Parts, redis.UniversalClient) {
	t.Helper()
	client := redistest.Client(t, redistest.Start(t))
	parts := redisparts.New(client, 4)
	return store.NewOf(parts, settings), parts, client
}

// Jobs that are spread are read as those of one Redis are: by id, in lists, and in sums.
func TestJobsOfAllPartsAreReadTogether(t *testing.T) {
	t.Parallel()
	s, parts, client := fourParts(t)
	const n = 24
	var ids []string
	used := map[int]bool{}
	for i := range n {
		job := createJob(t, s, func(j *jobs.Job) {
			j.Tenant, j.Labels = "acme", map[string]string{"n": fmt.Sprint(i % 2), "all": "yes"}
		})
		ids, used[parts.Index(job.ID)] = append(ids, job.ID), true
	}
	if len(used) != 4 {
		t.Fatalf("%d jobs are in %d parts", n, len(used))
	}
	if states, err := s.States(t.Context(), ids); err != nil || len(states) != n {
		t.Error(len(states), err)
	}
	if load, err := s.ReadLoad(t.Context()); err != nil || load.Open != n {
		t.Error(load, err)
	}
	if open, err := s.TenantOpen(t.Context(), "acme"); err != nil || open != n {
		t.Error(open, err)
	}
	counts, err := s.Activity(t.Context(), "acme")
	if err != nil || counts.Open != n || !slices.Equal(counts.Tenants, []jobs.Tenant{"acme"}) {
		t.Error(counts, err)
	}
	checkPages(t, s, ids, jobs.ListQuery{Limit: 7})
	checkPages(t, s, ids, jobs.ListQuery{Limit: 7, Labels: map[string]string{"all": "yes"}})
	even := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Index(ids, id)%2 == 1 })
	checkPages(t, s, even, jobs.ListQuery{Limit: 7, Labels: map[string]string{"all": "yes", "n": "0"}})
	for _, key := range client.Keys(t.Context(), "*").Val() {
		if !strings.HasPrefix(key, "{4p") && !strings.HasPrefix(key, "{home}") {
			t.Errorf("the key %q is in no part", key)
		}
	}
}

// checkPages reads all pages of a list, which must have these jobs, the newest first.
func checkPages(t *testing.T, s *store.Store, ids []string, query jobs.ListQuery) {
	t.Helper()
	var got []string
	for {
		page, err := s.List(t.Context(), operator, query)
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range page.Jobs {
			got = append(got, record.ID)
		}
		if query.Before = page.Next; page.Next == "" {
			break
		}
	}
	want := slices.Clone(ids)
	slices.Reverse(want)
	if !slices.Equal(got, want) {
		t.Errorf("%+v: listed %d jobs %q, want %q", query, len(got), got, want)
	}
}

// Each job is started once and ended once, and counted once, whatever part it is in.
func TestUsageOfAllPartsIsAddedUp(t *testing.T) {
	t.Parallel()
	s, _, _ := fourParts(t)
	const n = 24
	for range n {
		job := createJob(t, s, func(j *jobs.Job) { j.Tenant = "acme" })
		if claim := claimStart(t, s, job.ID, "a"); claim.Token != "a" {
			t.Error(claim)
		}
		if claim := claimStart(t, s, job.ID, "b"); claim.Token != "a" {
			t.Error("started twice:", claim)
		}
		if !endJob(t, s, job.ID, succeeded("1")) || endJob(t, s, job.ID, failed(jobs.CodeTimeout)) {
			t.Error("not ended once")
		}
	}
	counted := 0
	for _, part := range s.Parts() {
		counts, err := part.CountUsage(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, count := range counts {
			counted += count.Jobs
		}
	}
	report, err := s.Usage(t.Context(), jobs.UsageQuery{})
	if err != nil || counted != n || len(report.Days) != 1 || report.Days[0].Jobs["ok"] != n {
		t.Errorf("%d were counted; the report is %+v, %v", counted, report, err)
	}
	if load, err := s.ReadLoad(t.Context()); err != nil || load.Open != 0 || load.Ended != n {
		t.Error(load, err)
	}
}

// The reaper of a part has the jobs of that part, and the workers.
func TestEachPartHasItsOpenJobs(t *testing.T) {
	t.Parallel()
	s, parts, client := fourParts(t)
	if err := s.Heartbeat(t.Context(), "w", time.Minute, store.Offer{}); err != nil {
		t.Fatal(err)
	}
	want := make([]int, 4)
	for range 24 {
		want[parts.Index(createJob(t, s).ID)]++
	}
	for _, key := range client.Keys(t.Context(), "*:open").Val() { // due at once
		for _, member := range client.ZRange(t.Context(), key, 0, -1).Val() {
			client.ZAdd(t.Context(), key, redis.Z{Score: 1, Member: member})
		}
	}
	for i, part := range s.Parts() {
		_, open, err := part.DueJobs(t.Context(), 100)
		if err != nil || len(open) != want[i] {
			t.Errorf("part %d has %d open jobs, want %d: %v", i, len(open), want[i], err)
		}
		for _, job := range open {
			if parts.Index(job.ID) != i || job.State != jobs.StateQueued {
				t.Errorf("part %d has %+v", i, job)
			}
		}
		if alive, err := part.AliveWorkers(t.Context(), []string{"w"}); err != nil || len(alive) != 1 {
			t.Error(alive, err)
		}
	}
}

// A tenant with a bound has all its jobs in one part, where the bound is exact.
func TestBoundsOfATenantAreExact(t *testing.T) {
	t.Parallel()
	s, parts, _ := fourParts(t)
	accepted := 0
	for range 20 {
		id := s.NewID("acme", true)
		if parts.Index(id) != parts.Index("acme") {
			t.Fatal("an id of a bounded tenant is in another part")
		}
		job := jobs.Job{Tenant: "acme", ID: id, Script: "x"}
		created, err := s.Accept(t.Context(), job, store.Step{Lua: "local function step() end\n"},
			store.OpenLimits{Tenant: 5})
		if err != nil && jobs.CodeOf(err) != jobs.CodeQuotaExceeded {
			t.Fatal(err)
		}
		if created {
			accepted++
		}
	}
	if accepted != 5 {
		t.Errorf("%d jobs of a tenant with a bound of 5 are open", accepted)
	}
}

// The bound on all open jobs holds for all parts together, as of the last look at the others.
func TestTheQueuesLimitIsSharedByTheParts(t *testing.T) {
	t.Parallel()
	s, _, _ := fourParts(t)
	accepted := 0
	for range 100 {
		if _, err := s.ReadLoad(t.Context()); err != nil {
			t.Fatal(err)
		}
		job := jobs.Job{Tenant: jobs.Operator, ID: s.NewID(jobs.Operator, false), Script: "x"}
		created, err := s.Accept(t.Context(), job,
			store.Step{Lua: "local function step() end\n"}, store.OpenLimits{Queue: 20})
		if err != nil && jobs.CodeOf(err) != jobs.CodeQueueFull {
			t.Fatal(err)
		}
		if created {
			accepted++
		}
	}
	if accepted < 20 || accepted > 23 { // an empty part takes one
		t.Errorf("%d jobs are open in four parts, with a limit of 20", accepted)
	}
}

// A batch and an idempotency key are each in one part, and their jobs in others.
func TestABatchEndsOnceItsJobsOfAllPartsHave(t *testing.T) {
	t.Parallel()
	s, _, client := fourParts(t)
	batch, key := jobs.NewID(), store.IdempotencyKey("acme", "k")
	ids := make([]string, 12)
	for i := range ids {
		ids[i] = jobs.NewID()
	}
	if bound, err := s.ReserveKey(t.Context(), key, batch, "f"); err != nil || bound != batch {
		t.Fatal(bound, err)
	}
	if _, err := s.CreateBatch(t.Context(), "acme", batch, key, ids); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		createJob(t, s, func(j *jobs.Job) {
			j.ID, j.Tenant, j.BatchItem = id, "acme", jobs.BatchItem{BatchID: batch, Index: i}
		})
		endJob(t, s, id, succeeded("1"))
	}
	record, err := s.Batch(t.Context(), operator, batch)
	if err != nil || len(record.Ended) != len(ids) || record.FinishedAt.IsZero() {
		t.Errorf("%+v, %v", record, err)
	}
	if bound, err := s.ReserveKey(t.Context(), key, jobs.NewID(), "f"); err != nil || bound != batch {
		t.Error(bound, err)
	}
	for _, stored := range client.Keys(t.Context(), "*:idempotency").Val() {
		if ttl := client.TTL(t.Context(), stored).Val(); ttl <= 0 || ttl > settings.ResultTTL {
			t.Errorf("%s lives for %s", stored, ttl)
		}
	}
}
