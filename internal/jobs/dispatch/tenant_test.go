package dispatch

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

// as returns a context whose caller is a tenant with limits.
func as(t *testing.T, tenant jobs.Tenant, limits jobs.TenantLimits) context.Context {
	t.Helper()
	return jobs.WithCaller(t.Context(), jobs.Caller{Tenant: tenant, Scopes: jobs.Scopes(), Limits: limits})
}

func TestATenantsOpenJobs(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	acme := as(t, "acme", jobs.TenantLimits{OpenJobs: 2})
	request := jobs.Request{Script: "x", Async: true}
	var last jobs.Record
	for range 2 {
		var err error
		if last, err = s.Submit(acme, request, "r"); err != nil {
			t.Fatal(err)
		}
	}
	keyed := requestWithKey("k", "f")
	for range 2 { // the key stays free
		_, err := s.Submit(acme, keyed, "r")
		wantCode(t, err, jobs.CodeQuotaExceeded)
		known := jobs.AsError(err)
		if known.RetryAfterSeconds < 1 || known.RetryAfterSeconds > mostRetryAfter || known.Limit == nil ||
			known.Limit.Name != jobs.LimitOpenJobs || !strings.Contains(known.Message, "2 of at most 2 jobs") {
			t.Errorf("got %+v", known)
		}
	}
	// It applies to no other tenant, and never to the operator.
	for _, ctx := range []context.Context{
		as(t, "beta", jobs.TenantLimits{}), as(t, jobs.Operator, jobs.TenantLimits{OpenJobs: 1}),
		as(t, jobs.Operator, jobs.TenantLimits{OpenJobs: 1}),
	} {
		if _, err := s.Submit(ctx, request, "r"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Cancel(acme, last.ID); err != nil {
		t.Fatal(err)
	}
	keyed.Fingerprint = "another: nothing was accepted with the key"
	first, err := s.Submit(acme, keyed, "r")
	if err != nil {
		t.Fatal(err)
	}
	// A repeat is no new job.
	if again, err := s.Submit(acme, keyed, "r"); err != nil || again.ID != first.ID {
		t.Errorf("got %+v, %v", again, err)
	}
}

func TestABatchOfATenantIsAcceptedAsAWhole(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t)) // QueueLimit is 1000, so that batches may have 500
	acme := as(t, "acme", jobs.TenantLimits{OpenJobs: 5})
	_, err := s.SubmitBatch(acme, newBatchRequest(6), "r")
	wantCode(t, err, jobs.CodeQuotaExceeded)
	if known := jobs.AsError(err); known.RetryAfterSeconds < 1 || !strings.Contains(known.Message, "has 6 more") {
		t.Errorf("got %+v", known)
	}
	if batch, err := s.SubmitBatch(acme, newBatchRequest(5), "r"); err != nil || batch.Counts.Queued != 5 {
		t.Errorf("got %+v, %v", batch.Counts, err)
	}
	// Half of what is left: of 495, the last job of 248 is one too many after 247.
	beta := as(t, "beta", jobs.TenantLimits{})
	_, err = s.SubmitBatch(beta, newBatchRequest(249), "r")
	wantCode(t, err, jobs.CodeQuotaExceeded)
	if batch, err := s.SubmitBatch(beta, newBatchRequest(248), "r"); err != nil || batch.Counts.Queued != 248 {
		t.Errorf("got %+v, %v", batch.Counts, err)
	}
	if _, err := s.SubmitBatch(t.Context(), newBatchRequest(200), "r"); err != nil {
		t.Errorf("the operator: %v", err)
	}
}

func TestATenantsLargestLimits(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	limits := jobs.TenantLimits{
		Largest: jobs.RequestedLimits{Wall: 2 * time.Second, MemoryBytes: 64 << 20}, Weight: 3, RunningJobs: 4,
	}
	acme := as(t, "acme", limits)
	ask := func(ctx context.Context, wall time.Duration) (jobs.RequestedLimits, error) {
		request := jobs.Request{Script: "x", Async: true}
		if wall > 0 {
			request.Inputs = &jobs.Inputs{Limits: jobs.RequestedLimits{Wall: wall}}
		}
		job, err := s.newJob(ctx, request, "r")
		if err == nil && ctx == acme && (job.Weight != 3 || job.MaxRunning != 4 || job.Tenant != "acme") {
			t.Errorf("got %+v", job)
		}
		return job.Limits, err
	}
	server := jobs.DefaultLimits().Requestable()
	want := server
	want.Wall, want.MemoryBytes = limits.Largest.Wall, limits.Largest.MemoryBytes
	if got, err := ask(acme, 0); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	want.Wall = time.Second
	if got, err := ask(acme, time.Second); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err := ask(acme, 3*time.Second)
	wantCode(t, err, jobs.CodeInvalidRequest)
	if !strings.Contains(err.Error(), `"limits.wall_seconds" is 3, and the jobs of your tenant may have at most 2`) {
		t.Errorf("got %v", err)
	}
	if got, err := ask(as(t, jobs.Operator, limits), 0); err != nil || got != server {
		t.Errorf("the operator: got %+v, %v", got, err)
	}
}

func TestATenantsEnvironments(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.report(t, "w1", time.Hour, described("default", "numpy 2.4.1"), described("ai", "numpy 2.4.1", "torch 2.9"),
		described("science", "numpy 2.4.1", "scipy 1.17.0"))
	s.awaitFleet(t, "the environments", func(f *fleet) bool { return len(f.names()) == 3 && f.isDescribed() })
	acme := as(t, "acme", jobs.TenantLimits{Environments: []string{"science"}})
	for _, c := range []struct {
		request jobs.Request
		want    string
		code    jobs.Code
		says    string
	}{
		{request: jobs.Request{Script: "x", Environment: "science"}, want: "science"},
		{request: jobs.Request{Script: asking("numpy>=2")}, want: "science"},
		{
			request: jobs.Request{Script: asking("torch")}, code: jobs.CodeMissingPackages,
			says: "for: science lacks torch",
		},
		{
			request: jobs.Request{Script: "x", Environment: "ai"}, code: jobs.CodeUnknownEnvironment,
			says: `there is no environment "ai"; there are: science`,
		},
		{request: jobs.Request{Script: "x", Environment: "default"}, code: jobs.CodeUnknownEnvironment},
		{
			request: jobs.Request{Script: "x"}, code: jobs.CodeUnknownEnvironment,
			says: `name one in "environment": science`,
		},
	} {
		job, err := s.newJob(acme, c.request, "r")
		if jobs.CodeOf(err) != c.code || job.Environment != c.want ||
			err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %q, %v", c.request, job.Environment, err)
		}
	}
	if there, err := s.Environments(acme); err != nil || len(there) != 1 || there[0].Name != "science" {
		t.Errorf("listed: %+v, %v", there, err)
	}
	if there, err := s.Environments(t.Context()); err != nil || len(there) != 3 {
		t.Errorf("listed for others: %+v, %v", there, err)
	}
}

// meter is a CPUMeter that counts its readings.
type meter struct {
	used  time.Duration
	err   error
	reads atomic.Int32
}

func (m *meter) CPUToday(context.Context, jobs.Tenant) (time.Duration, error) {
	m.reads.Add(1)
	return m.used, m.err
}

func TestATenantsProcessorTime(t *testing.T) {
	t.Parallel()
	m := &meter{used: time.Hour}
	s := newReplica(t, redistest.Start(t), func(s *Settings) { s.CPU = m })
	request := jobs.Request{Script: "x", Async: true}
	limits := jobs.TenantLimits{CPUPerDay: time.Hour}
	acme := as(t, "acme", limits)
	for range 3 {
		_, err := s.Submit(acme, request, "r")
		wantCode(t, err, jobs.CodeQuotaExceeded)
		left := time.Until(midnight(time.Now()).Add(24 * time.Hour)).Seconds()
		known := jobs.AsError(err)
		if after := float64(known.RetryAfterSeconds); after < left || after > left+60 ||
			known.Limit.Value != 3600 || !strings.Contains(known.Message, "3600 seconds") {
			t.Errorf("got %+v", known)
		}
	}
	_, err := s.SubmitBatch(acme, newBatchRequest(2), "r")
	wantCode(t, err, jobs.CodeQuotaExceeded)
	if n := m.reads.Load(); n > 4 {
		t.Errorf("%d readings in less than a few seconds", n)
	}
	for _, ctx := range []context.Context{
		as(t, "beta", jobs.TenantLimits{CPUPerDay: 2 * time.Hour}), as(t, "gamma", jobs.TenantLimits{}),
		as(t, jobs.Operator, limits),
	} {
		if _, err := s.Submit(ctx, request, "r"); err != nil {
			t.Error(err)
		}
	}
	m.err = errors.New("no answer")
	if _, err := s.Submit(as(t, "delta", limits), request, "r"); err != nil {
		t.Errorf("what cannot be read refuses nothing: %v", err)
	}
}
