package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

const openByTenant = "cellblock:{index}:open_by_tenant"

var step = store.Step{Lua: "local function step() end "}

// of makes a job a tenant's.
func of(tenant jobs.Tenant) func(*jobs.Job) {
	return func(job *jobs.Job) { job.Tenant = tenant }
}

func wantOpen(t *testing.T, s *store.Store, tenant jobs.Tenant, want int) {
	t.Helper()
	if got, err := s.TenantOpen(t.Context(), tenant); err != nil || got != want {
		t.Errorf("%s has %d open jobs, want %d; %v", tenant, got, want, err)
	}
}

// finalizeDue does what the reaper does with open jobs that have ended or have no record.
func finalizeDue(t *testing.T, s *store.Store, client redis.UniversalClient) {
	t.Helper()
	for _, member := range client.ZRange(t.Context(), openJobs, 0, -1).Val() {
		client.ZAdd(t.Context(), openJobs, redis.Z{Score: 0, Member: member})
	}
	_, due, err := s.DueJobs(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range due {
		if job.State != "" && !job.State.Ended() {
			continue
		}
		ended := store.EndedJob{ID: job.ID, Tenant: job.Tenant, State: job.State, IdempotencyKey: job.IdempotencyKey}
		for range 2 { // twice: a reply may be lost
			if err := s.FinalizeJob(t.Context(), ended); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Each way in which a job ends counts once, however often its last step is repeated.
func TestOpenJobsAreCountedByTenant(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, s *store.Store, client redis.UniversalClient, job jobs.Job){
		"ended": func(t *testing.T, s *store.Store, _ redis.UniversalClient, job jobs.Job) {
			claimStart(t, s, job.ID, "t")
			for range 2 {
				endJob(t, s, job.ID, succeeded("1"))
			}
		},
		"withdrawn": func(t *testing.T, s *store.Store, _ redis.UniversalClient, job jobs.Job) {
			for range 2 {
				if _, err := s.Withdraw(t.Context(), job.ID, failed(jobs.CodeUnavailable)); err != nil {
					t.Fatal(err)
				}
			}
		},
		"cancelled": func(t *testing.T, s *store.Store, _ redis.UniversalClient, job jobs.Job) {
			for range 2 {
				_, _ = s.Cancel(t.Context(), operator, job.ID)
			}
		},
		"late": func(t *testing.T, s *store.Store, client redis.UniversalClient, job jobs.Job) {
			client.HSet(t.Context(), jobKey(job.ID), "start_by", 1)
			for range 2 {
				if _, err := s.WithdrawLate(t.Context(), job.ID); err != nil {
					t.Fatal(err)
				}
			}
		},
		"without a record": func(t *testing.T, s *store.Store, client redis.UniversalClient, job jobs.Job) {
			client.Del(t.Context(), jobKey(job.ID))
			endJob(t, s, job.ID, succeeded("1"))
			wantOpen(t, s, job.Tenant, 2)
			finalizeDue(t, s, client)
		},
		"expired before it was finalized": func(
			t *testing.T, s *store.Store, client redis.UniversalClient, job jobs.Job,
		) {
			client.HSet(t.Context(), jobKey(job.ID), "idempotency", "key")
			client.LPush(t.Context(), "key", "makes the last step fail, as if its process had died")
			if _, err := s.Withdraw(t.Context(), job.ID, failed(jobs.CodeUnavailable)); err != nil {
				t.Fatal(err)
			}
			wantOpen(t, s, job.Tenant, 2)
			client.Del(t.Context(), jobKey(job.ID), "key")
			finalizeDue(t, s, client)
		},
		"finalized by the reaper": func(t *testing.T, s *store.Store, client redis.UniversalClient, job jobs.Job) {
			client.HSet(t.Context(), jobKey(job.ID), "idempotency", "key")
			client.LPush(t.Context(), "key", "as above")
			if _, err := s.Withdraw(t.Context(), job.ID, failed(jobs.CodeUnavailable)); err != nil {
				t.Fatal(err)
			}
			client.Del(t.Context(), "key")
			finalizeDue(t, s, client)
			endJob(t, s, job.ID, succeeded("1"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, client := newStore(t)
			createJob(t, s, of("acme")) // stays
			createJob(t, s, of(jobs.Operator))
			job := createJob(t, s, of("acme"))
			if err := s.Create(t.Context(), job); err != nil { // the reply to the first call was lost
				t.Fatal(err)
			}
			wantOpen(t, s, "acme", 2)
			end(t, s, client, job)
			wantOpen(t, s, "acme", 1)
			if all := client.HGetAll(t.Context(), openByTenant).Val(); len(all) != 1 {
				t.Errorf("counts: %v", all)
			}
		})
	}
}

func TestTenantsWithoutOpenJobsAreForgotten(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	createJob(t, s, of("acme"))
	endJob(t, s, createJob(t, s, of("beta")).ID, succeeded("1"))
	if err := s.RecountTenants(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := client.HGetAll(t.Context(), openByTenant).Val(); len(got) != 1 || got["acme"] != "1" {
		t.Errorf("left: %v", got)
	}
}

// A tenant may have as many jobs as are still free, so that one never keeps another out.
func TestNoTenantFillsTheQueue(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	fill := func(tenant jobs.Tenant, limits store.OpenLimits) (accepted int, err error) {
		for ; ; accepted++ {
			job := jobs.Job{ID: jobs.NewID(), Tenant: tenant}
			if _, err := s.Accept(t.Context(), job, step, limits); err != nil {
				return accepted, err
			}
		}
	}
	limits := store.OpenLimits{Queue: 40}
	for i, want := range []int{20, 10, 5, 3, 1, 1} {
		tenant := jobs.Tenant(fmt.Sprintf("tenant-%d", i))
		n, err := fill(tenant, limits)
		if n != want || i < 5 && jobs.CodeOf(err) != jobs.CodeQuotaExceeded {
			t.Errorf("tenant %d got %d, want %d: %v", i, n, want, err)
		}
		wantOpen(t, s, tenant, want)
	}
	// A refused job leaves nothing behind.
	if n, err := fill("tenant-0", limits); n != 0 || jobs.CodeOf(err) != jobs.CodeQueueFull {
		t.Errorf("accepted %d: %v", n, err)
	}
	wantOpen(t, s, "tenant-0", 20)
	n, err := fill("own", store.OpenLimits{Queue: 1000, Tenant: 3})
	known := jobs.AsError(err)
	if n != 3 || known.Code != jobs.CodeQuotaExceeded || known.Limit == nil || known.Limit.Value != 3 ||
		!strings.Contains(known.Message, "has 3 of at most 3 jobs") {
		t.Errorf("accepted %d: %v", n, err)
	}
	if n, err := fill(jobs.Operator, store.OpenLimits{Queue: 60}); n != 17 || jobs.CodeOf(err) != jobs.CodeQueueFull {
		t.Errorf("the operator got %d: %v", n, err)
	}
}

// Large inputs travel before the script that refuses their job.
func TestARefusedJobLeavesNoInputs(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	createJob(t, s, of("acme"))
	job := jobs.Job{ID: jobs.NewID(), Tenant: "acme", Inputs: &jobs.Inputs{
		Files: []jobs.File{{Path: "f", Content: make([]byte, store.LargeRecord)}},
	}}
	_, err := s.Accept(t.Context(), job, step, store.OpenLimits{Tenant: 1})
	if jobs.CodeOf(err) != jobs.CodeQuotaExceeded {
		t.Errorf("got %v", err)
	}
	if n := client.Exists(t.Context(), "cellblock:{"+job.ID+"}:inputs", jobKey(job.ID)).Val(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
	wantOpen(t, s, "acme", 1)
}

// Whatever happens to many jobs at once, with processes that die between any two steps and a Redis that is killed, the
// counts are those of the index.
func TestCountsOfTenantsDoNotDrift(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	client := redistest.Client(t, server.URL())
	s := store.New(client, settings)
	tenants := []jobs.Tenant{"acme", "beta", jobs.Operator}
	work := func(i int) {
		job := jobs.Job{ID: jobs.NewID(), Tenant: tenants[i%len(tenants)], Script: "x"}
		if i%4 == 0 {
			job.IdempotencyKey = store.IdempotencyKey(job.Tenant, job.ID)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(20))*time.Millisecond)
		defer cancel() // whose end is a process that dies in the middle
		_, _ = s.Accept(ctx, job, step, store.OpenLimits{Queue: 100, Tenant: 30})
		_, _ = s.Accept(ctx, job, step, store.OpenLimits{Queue: 100, Tenant: 30})
		switch i % 3 {
		case 0:
			_, _ = s.End(ctx, job.ID, succeeded("1"))
		case 1:
			_, _ = s.Cancel(ctx, operator, job.ID)
		}
	}
	for round := range 3 {
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() { work(i) })
		}
		if round == 1 {
			server.Kill()
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
		}
		all.Wait()
		for client.Ping(t.Context()).Err() != nil { // the client refuses connections for a moment after Redis is back
			time.Sleep(10 * time.Millisecond)
		}
		finalizeDue(t, s, client)
		open := map[string]int{}
		for _, member := range client.ZRange(t.Context(), openJobs, 0, -1).Val() {
			if _, tenant, found := strings.Cut(member, " "); found {
				open[tenant]++
			}
		}
		for _, tenant := range tenants[:2] {
			wantOpen(t, s, tenant, open[string(tenant)])
		}
	}
}

func TestCPUToday(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	if used, err := s.CPUToday(t.Context(), "acme"); used != 0 || err != nil {
		t.Errorf("got %s, %v", used, err)
	}
	client.HSet(t.Context(), "cellblock:{usage}:acme:"+time.Now().UTC().Format("2006-01-02"), "cpu_us", 1_500_000)
	if used, err := s.CPUToday(t.Context(), "acme"); used != 1500*time.Millisecond || err != nil {
		t.Errorf("got %s, %v", used, err)
	}
}

// The counts cost two commands for a job of a tenant: one when it is accepted and one when it ends.
func TestCostOfCounts(t *testing.T) {
	t.Parallel()
	commands := func(tenant jobs.Tenant) int64 {
		s, client := newStore(t)
		run := func() {
			job := createJob(t, s, of(tenant))
			claimStart(t, s, job.ID, "t")
			endJob(t, s, job.ID, succeeded("1"))
		}
		run() // Redis knows the scripts then
		if err := client.ConfigResetStat(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		const times = 10
		for range times {
			run()
		}
		total := int64(0)
		for name, stat := range client.InfoMap(t.Context(), "commandstats").Val()["Commandstats"] {
			calls, _, _ := strings.Cut(strings.TrimPrefix(stat, "calls="), ",")
			n, err := strconv.ParseInt(calls, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", stat, err)
			}
			if !strings.HasPrefix(name, "cmdstat_config") && name != "cmdstat_info" {
				total += n
			}
		}
		return total / times
	}
	operators, acmes := commands(jobs.Operator), commands("acme")
	t.Logf("the operator's job: %d commands, a tenant's: %d", operators, acmes)
	if acmes-operators != 2 {
		t.Errorf("a job of the operator takes %d commands, one of a tenant %d", operators, acmes)
	}
}

// What removed or kept an open job without counting it does not matter for long.
func TestOpenJobsOfTenantsAreCountedAnew(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	recount := func() {
		if err := s.RecountTenants(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	kept := createJob(t, s, of("acme"))
	lost := createJob(t, s, of("acme"))
	client.ZRem(t.Context(), openJobs, lost.ID+" acme") // by a replica of an earlier version
	gone := createJob(t, s, of("gone"))
	client.ZRem(t.Context(), openJobs, gone.ID+" gone")
	createJob(t, s, of("other"))
	recount()
	for tenant, want := range map[jobs.Tenant]int{"acme": 1, "gone": 0, "other": 1} {
		wantOpen(t, s, tenant, want)
	}
	if client.HExists(t.Context(), openByTenant, "gone").Val() {
		t.Error("the count of a tenant without open jobs is kept")
	}
	// Redis has lost its record, but not its place among the open jobs.
	client.Del(t.Context(), jobKey(kept.ID))
	if err := s.Create(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	wantOpen(t, s, "acme", 1)
	endJob(t, s, kept.ID, succeeded("1"))
	wantOpen(t, s, "acme", 0)
}
