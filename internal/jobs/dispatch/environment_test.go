package dispatch

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

// report makes a worker report environments for ttl, and describe them.
func (s *replica) report(t *testing.T, worker string, ttl time.Duration, environments ...jobs.Environment) {
	t.Helper()
	offer := store.Offer{MaxLimits: jobs.DefaultLimits().Requestable(), Environments: map[string]string{}}
	for _, environment := range environments {
		offer.Environments[environment.Name] = environment.Hash
	}
	if err := s.store.Heartbeat(t.Context(), worker, ttl, offer); err != nil {
		t.Fatal(err)
	}
	if err := s.store.DescribeEnvironments(t.Context(), environments, time.Hour); err != nil {
		t.Fatal(err)
	}
}

func described(name string, packages ...string) jobs.Environment {
	environment := jobs.Environment{Name: name, Hash: "hash of " + name, Python: "3.11.2"}
	for _, p := range packages {
		name, version, _ := strings.Cut(p, " ")
		environment.Packages = append(environment.Packages, jobs.Package{Name: name, Version: version})
	}
	return environment
}

// awaitFleet waits until the replica knows what is true of its fleet.
func (s *replica) awaitFleet(t *testing.T, what string, done func(f *fleet) bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(s.fleet.Load()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the API does not learn %s", what)
		}
	}
}

func (s *replica) submit(t *testing.T, request jobs.Request) (jobs.Job, error) {
	t.Helper()
	request.Async = true
	record, err := s.Submit(t.Context(), request, "r-1")
	if err != nil {
		return jobs.Job{}, err
	}
	job, _, _, err := s.store.Take(t.Context(), record.ID, "w", time.Second)
	return job, err
}

const block = "# /// script\n# dependencies = [%q]\n# ///\ndef main(): pass\n"

func asking(dependency string) string { return strings.Replace(block, "%q", `"`+dependency+`"`, 1) }

func TestTheEnvironmentIsDecidedAtAcceptance(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	// No worker has reported yet.
	if job, err := s.submit(t, jobs.Request{Script: asking("torch")}); err != nil || job.Environment != "" {
		t.Errorf("%+v, %v", job, err)
	}
	_, err := s.submit(t, jobs.Request{Script: "x", Environment: "science"})
	wantCode(t, err, jobs.CodeUnavailable)
	s.report(t, "w1", time.Hour, described("default", "numpy 2.4.1"),
		described("science", "numpy 2.4.1", "scipy 1.17.0"))
	s.report(t, "w2", time.Hour, described("default", "numpy 2.4.1"), described("ai", "numpy 1.26.0", "torch 2.9"))
	s.awaitFleet(t, "the environments", func(f *fleet) bool { return len(f.names()) == 3 && f.isDescribed() })
	for _, c := range []struct {
		request jobs.Request
		want    string
	}{
		{request: jobs.Request{Script: "x"}},
		{request: jobs.Request{Script: "x", Environment: "default"}},
		{request: jobs.Request{Script: "x", Environment: "science"}, want: "science"},
		{request: jobs.Request{Script: asking("torch"), Environment: "science"}, want: "science"},
		{request: jobs.Request{Script: asking("numpy>=2")}},
		{request: jobs.Request{Script: asking("numpy<2")}, want: "ai"},
		{request: jobs.Request{Script: asking("scipy~=1.17")}, want: "science"},
	} {
		if job, err := s.submit(t, c.request); err != nil || job.Environment != c.want {
			t.Errorf("%+v: %q, %v, want %q", c.request, job.Environment, err, c.want)
		}
	}
	_, err = s.submit(t, jobs.Request{Script: "x", Environment: "sience"})
	wantCode(t, err, jobs.CodeUnknownEnvironment)
	if want := `did you mean "science"? There are: default, ai, science`; !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	_, err = s.submit(t, jobs.Request{Script: asking("scipy>2")})
	wantCode(t, err, jobs.CodeMissingPackages)
	if want := "default lacks scipy>2; ai lacks scipy>2; science lacks scipy>2 (it has 1.17.0)"; !strings.Contains(
		err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	_, err = s.submit(t, jobs.Request{Script: strings.Replace(asking("x"), "dependencies", "=", 1)})
	wantCode(t, err, jobs.CodeInvalidRequest)
}

// An expected environment is known without any worker, and beside workers that lack it: a synchronous job waits for one
// that is started on its account, as one of the default does.
func TestAnExpectedEnvironment(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t), func(s *Settings) {
		s.ExpectedEnvironments = []string{"science"}
		s.NoWorkerGrace = time.Minute // longer than the request waits
	})
	for range 2 {
		for _, name := range []string{"", "default", "science"} {
			start := time.Now()
			request := jobs.Request{Script: "x", Environment: name}
			record, err := s.Execute(t.Context(), request, "r-1", 300*time.Millisecond)
			if err != nil || record.State != jobs.StateQueued {
				t.Errorf("%q: %+v, %v", name, record, err)
			}
			wantDuration(t, start, 300*time.Millisecond, 2*time.Second)
		}
		// Its queue is counted, so that a scaler sees its jobs.
		if names := s.fleet.Load().names(); !slices.Contains(names, "science") {
			t.Errorf("got %v, which lacks science", names)
		}
		s.report(t, "w", time.Hour, described("default"))
		s.awaitFleet(t, "the default", func(f *fleet) bool { return len(f.names()) == 2 && f.isDescribed() })
	}
	_, err := s.submit(t, jobs.Request{Script: "x", Environment: "sience"})
	wantCode(t, err, jobs.CodeUnknownEnvironment)
	_, err = s.submit(t, jobs.Request{Script: asking("scipy")})
	wantCode(t, err, jobs.CodeMissingPackages)
	if want := "no worker has reported the packages of science lately"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	s.report(t, "w2", time.Hour, described("science", "scipy 1"))
	s.awaitFleet(t, "science", func(f *fleet) bool { return f.isDescribed() && len(f.live["science"]) == 1 })
	if job, err := s.submit(t, jobs.Request{Script: asking("scipy")}); err != nil || job.Environment != "science" {
		t.Errorf("got %q, %v", job.Environment, err)
	}
}

func TestSettingsNameEnvironments(t *testing.T) {
	t.Parallel()
	settings := Settings{SyncWait: 1, NoWorkerGrace: 1, StartDeadline: time.Hour, QueueLimit: 1}
	settings.ExpectedEnvironments = []string{"science", "../x"}
	if err := settings.Validate(); err == nil || !strings.Contains(err.Error(), "../x") {
		t.Errorf("got %v", err)
	}
}

// An environment stays known after its last worker, and its jobs are accepted; those of a waiting client are withdrawn
// although workers without it are alive.
func TestAnEnvironmentWithoutAWorker(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	first := newReplica(t, url)
	first.report(t, "w", time.Hour, described("default"))
	first.report(t, "gone", -time.Minute, described("default"), described("science", "scipy 1"))
	s := newReplica(t, url, func(s *Settings) { s.NoWorkerGrace = 300 * time.Millisecond })
	s.awaitFleet(t, "the environments", func(f *fleet) bool { return len(f.names()) == 2 })
	environments, err := s.Environments(t.Context())
	if err != nil || len(environments) != 2 || environments[0].Workers != 1 || environments[1].Workers != 0 ||
		environments[1].Hashes[0] != "hash of science" || environments[1].Packages[0].Name != "scipy" {
		t.Errorf("got %+v, %v", environments, err)
	}
	status, err := s.ServiceStatus(t.Context())
	if err != nil || len(status.Queues) != 2 || status.Queues["default"].Workers != 1 ||
		status.Queues["science"].Workers != 0 {
		t.Errorf("got %+v, %v", status, err)
	}
	request := jobs.Request{Script: asking("scipy")}
	_, err = s.Execute(t.Context(), request, "r-1", 5*time.Second)
	wantCode(t, err, jobs.CodeUnavailable)
	if !strings.Contains(err.Error(), `no worker with the environment "science" is there`) {
		t.Errorf("got %v", err)
	}
	// An asynchronous job waits, and its message at the end of the wait names the reason.
	request.Async, request.StartWithin = true, 50*time.Millisecond
	record, err := s.Submit(t.Context(), request, "r-1")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(60 * time.Millisecond)
	if late, err := s.store.WithdrawLate(t.Context(), record.ID); !late || err != nil {
		t.Fatalf("%v, %v", late, err)
	}
	record, err = s.Get(t.Context(), record.ID, 0)
	if err != nil || record.Environment != "science" ||
		record.Outcome.Failure.Message != jobs.WithoutEnvironment("science") {
		t.Errorf("got %+v, %v", record, err)
	}
}

// The limits that no worker with the environment allows are refused, whatever the others allow.
func TestLimitsAreThoseOfTheEnvironmentsWorkers(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.report(t, "large", time.Hour, described("default"))
	small := store.Offer{
		MaxLimits:    jobs.RequestedLimits{MemoryBytes: 64 << 20},
		Environments: map[string]string{"default": "", "small": ""},
	}
	if err := s.store.Heartbeat(t.Context(), "small", time.Hour, small); err != nil {
		t.Fatal(err)
	}
	s.awaitFleet(t, "the environments", func(f *fleet) bool {
		return len(f.live["default"]) == 2 && len(f.live["small"]) == 1
	})
	request := jobs.Request{
		Script: "x", Inputs: &jobs.Inputs{Limits: jobs.RequestedLimits{MemoryBytes: 100 << 20}},
	}
	if _, err := s.submit(t, request); err != nil {
		t.Error(err)
	}
	request.Environment = "small"
	_, err := s.submit(t, request)
	wantCode(t, err, jobs.CodeInvalidRequest)
	request.Inputs = nil
	if job, err := s.submit(t, request); err != nil || job.Limits.MemoryBytes != 64<<20 {
		t.Errorf("%+v, %v", job, err)
	}
}

func TestItemsOfABatchHaveEnvironments(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.report(t, "w", time.Hour, described("default"), described("science"))
	s.awaitFleet(t, "the environments", func(f *fleet) bool { return len(f.names()) == 2 })
	items, err := jobs.DecodeBatch([]byte(`{"script":"x","environment":"science"}
{"script":"x","environment":"other"}`))
	if err != nil {
		t.Fatal(err)
	}
	batch, err := s.SubmitBatch(t.Context(), jobs.BatchRequest{Items: items}, "r-1")
	if err != nil || batch.Items[1].Err == nil || batch.Items[1].Err.Code != jobs.CodeUnknownEnvironment {
		t.Fatalf("%+v, %v", batch, err)
	}
	if n := s.client.LLen(t.Context(), "asynq:{env:science:default}:pending").Val(); n != 1 {
		t.Errorf("%d jobs are in the environment's queue", n)
	}
}

// Between two regular reads of the workers, one starts with an environment that is not known yet.
func TestAnEnvironmentOfANewWorkerIsKnownAtOnce(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.awaitFleet(t, "when it was last read", func(f *fleet) bool {
		return !f.readAt.IsZero() && time.Since(f.readAt) > rereadPause
	})
	s.report(t, "w", time.Minute, described("default"), described("science", "scipy 1.2"))
	if job, err := s.submit(t, jobs.Request{Script: asking("scipy")}); err != nil || job.Environment != "science" {
		t.Errorf("by its block: %q, %v", job.Environment, err)
	}
	if job, err := s.submit(t, jobs.Request{Script: "x", Environment: "science"}); err != nil ||
		job.Environment != "science" {
		t.Errorf("by its name: %q, %v", job.Environment, err)
	}
}

// forgetEnvironments makes Redis forget the workers and the descriptions, and returns a replica that has never known
// them but for the default.
func (s *replica) forgetEnvironments(t *testing.T) *replica {
	t.Helper()
	keys, err := s.client.Keys(t.Context(), "*cellblock:workers*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("%q, %v", keys, err)
	}
	if err := s.client.Del(t.Context(), keys...).Err(); err != nil {
		t.Fatal(err)
	}
	s.report(t, "w", time.Hour, described("default"))
	other := newReplica(t, s.url)
	other.awaitFleet(t, "the default", func(f *fleet) bool { return len(f.names()) == 1 })
	return other
}

// A repeat finds the job of the first request although the environment is gone.
func TestARepeatAfterTheEnvironmentIsGone(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.report(t, "w", time.Hour, described("default"), described("science", "scipy 1"))
	s.awaitFleet(t, "the environments", func(f *fleet) bool { return len(f.names()) == 2 && f.isDescribed() })
	byName := jobs.Request{Script: "x", Environment: "science", Async: true, IdempotencyKey: "k1", Fingerprint: "f1"}
	byBlock := jobs.Request{Script: asking("scipy"), Async: true, IdempotencyKey: "k2", Fingerprint: "f2"}
	var first []string
	for _, request := range []jobs.Request{byName, byBlock} {
		record, err := s.Submit(t.Context(), request, "r")
		if err != nil {
			t.Fatal(err)
		}
		first = append(first, record.ID)
	}
	s = s.forgetEnvironments(t)
	for i, request := range []jobs.Request{byName, byBlock} {
		record, err := s.Submit(t.Context(), request, "r")
		if err != nil || record.ID != first[i] || record.State != jobs.StateQueued {
			t.Errorf("got %+v, %v", record, err)
		}
	}
	byName.IdempotencyKey = "k3"
	_, err := s.Submit(t.Context(), byName, "r")
	wantCode(t, err, jobs.CodeUnknownEnvironment)
	byBlock.IdempotencyKey = "k4"
	_, err = s.Submit(t.Context(), byBlock, "r")
	wantCode(t, err, jobs.CodeMissingPackages)
}

// A repeat of a batch does not refuse the jobs that the first request has accepted, and their ends count.
func TestARepeatedBatchAfterTheEnvironmentIsGone(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.report(t, "w", time.Hour, described("default"), described("science"))
	s.awaitFleet(t, "the environments", func(f *fleet) bool { return len(f.names()) == 2 })
	request := newBatchRequest(3)
	request.IdempotencyKey, request.Fingerprint = "k", "f"
	request.Items[1].Request.Environment = "science"
	request.Items[2] = jobs.ItemRequest{Err: jobs.Errorf(jobs.CodeInvalidRequest, "as asked")}
	first := s.submitBatch(t, request)
	s = s.forgetEnvironments(t)
	again := s.submitBatch(t, request)
	if want := (jobs.BatchCounts{Total: 3, Queued: 2, Refused: 1}); again.Counts != want || again.ID != first.ID {
		t.Errorf("got %+v, want %+v", again.Counts, want)
	}
	if _, err := s.store.Withdraw(t.Context(), first.Items[1].JobID,
		jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeException}}); err != nil {
		t.Fatal(err)
	}
	ended, err := s.GetBatch(t.Context(), first.ID, 0)
	if want := (jobs.BatchCounts{Total: 3, Queued: 1, Failed: 1, Refused: 1}); err != nil || ended.Counts != want {
		t.Errorf("got %+v, %v, want %+v", ended.Counts, err, want)
	}
}
