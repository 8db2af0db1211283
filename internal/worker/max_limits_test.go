package worker

import (
	"errors"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/redistest"
)

// A job above a worker's maximum limits is never lowered to them: it waits for a worker that allows it,
// and is not redelivered in a busy loop meanwhile.
func TestAJobAboveTheMaxLimitsGoesToAnotherWorker(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	small, large := newFixture(t, url), newFixture(t, url)
	small.MaxLimits = jobs.DefaultLimits().Requestable()
	large.MaxLimits = small.MaxLimits
	large.MaxLimits.MemoryBytes *= 2
	job := jobs.Job{Tenant: jobs.Operator, ID: jobs.NewID(), Script: "def main(): pass", Limits: large.MaxLimits}
	if err := small.Store.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if err := small.deliver(t, job.ID, 0); !errors.Is(err, queue.ErrElsewhere) {
		t.Fatalf("got %v", err)
	}
	if taken := small.Client.HGet(t.Context(), "cellblock:{"+job.ID+"}:job", "taken_by").Val(); taken != "" {
		t.Errorf("the record names the worker that left it: %s", taken)
	}
	small.wantRuns(t, 0, 0)
	small.start(t)
	if err := small.producer.Enqueue(t.Context(), job.ID, jobs.Route{Priority: jobs.PriorityDefault}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // several rounds, if it is redelivered in a busy loop
	if state := small.get(t, job.ID).State; state != jobs.StateQueued {
		t.Fatalf("the job is %s", state)
	}
	if n := small.requeued.Load(); n > 4 {
		t.Errorf("the job was taken and left %d times in 3 s", n)
	}
	large.start(t)
	record := small.await(t, job.ID, jobs.State.Ended)
	if record.State != jobs.StateSucceeded {
		t.Errorf("got %+v", record)
	}
	large.wantRuns(t, 1, 0)
	small.wantRuns(t, 0, 0)
}

func TestAWorkerRegistersItsMaxLimits(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.MaxLimits = jobs.DefaultLimits().Requestable()
	b.start(t)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		fleet, err := b.Store.Fleet(t.Context())
		if err == nil && len(fleet) == 1 && fleet[0].MaxLimits == b.MaxLimits {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %+v, %v", fleet, err)
		}
	}
}

// The wall deadline is that of the record, not the worker's own.
func TestTheWallDeadlineIsTheRecords(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.start(t)
	limits := jobs.DefaultLimits().Requestable()
	limits.Wall = 3 * time.Second
	job := jobs.Job{
		Tenant: jobs.Operator, ID: jobs.NewID(), Script: "import time\ndef main(): time.sleep(20)", Limits: limits,
	}
	if err := b.Store.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if err := b.producer.Enqueue(t.Context(), job.ID, jobs.Route{Priority: jobs.PriorityDefault}); err != nil {
		t.Fatal(err)
	}
	b.await(t, job.ID, running)
	if left, isRunning, err := b.Store.Remaining(t.Context(), job.ID); err != nil || !isRunning || left > limits.Wall {
		t.Errorf("left %s, %v, %v", left, isRunning, err)
	}
	if _, err := b.Store.Cancel(t.Context(), jobs.OperatorCaller(), job.ID); err != nil {
		t.Error(err)
	}
	b.await(t, job.ID, jobs.State.Ended)
}

// A forged record neither raises a worker's limits nor makes it read the record again and again.
func TestAForgedPolicyIsRefused(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.MaxLimits = jobs.DefaultLimits().Requestable()
	b.start(t)
	forge := func(field, value string) string {
		id := b.create(t, "def main(): pass")
		if err := b.Client.HSet(t.Context(), "cellblock:{"+id+"}:job", field, value).Err(); err != nil {
			t.Fatal(err)
		}
		if err := b.producer.Enqueue(t.Context(), id, jobs.Route{Priority: jobs.PriorityDefault}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	high := forge("limits", `{"wall_us":3600000000,"memory":1099511627776}`)
	for field, value := range map[string]string{"limits": `{"memory":-1}`, "ttl": "soon", "start_by": "soon"} {
		id := forge(field, value)
		b.await(t, id, jobs.State.Ended)
		b.wantFailure(t, id, jobs.CodeInternal)
	}
	for deadline := time.Now().Add(10 * time.Second); b.requeued.Load() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the job with high limits was not left")
		}
	}
	if state := b.get(t, high).State; state != jobs.StateQueued {
		t.Errorf("the job with high limits is %s", state)
	}
	b.wantRuns(t, 0, 0)
}

// A job whose inputs are gone from Redis ends with an error of the service, and does not run without them.
func TestAJobWithoutItsInputsIsRefused(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	job := jobs.Job{
		Tenant: jobs.Operator, ID: jobs.NewID(), Script: "def main(): pass", Inputs: &jobs.Inputs{Stdin: "x"},
	}
	if err := b.Store.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if n := b.Client.Del(t.Context(), "cellblock:{"+job.ID+"}:inputs").Val(); n != 1 {
		t.Fatalf("%d keys of inputs", n)
	}
	b.start(t)
	if err := b.producer.Enqueue(t.Context(), job.ID, jobs.Route{Priority: jobs.PriorityDefault}); err != nil {
		t.Fatal(err)
	}
	b.await(t, job.ID, jobs.State.Ended)
	b.wantFailure(t, job.ID, jobs.CodeInternal)
	b.wantRuns(t, 0, 0)
}

// The record of an ended job has the limits under which it ran.
func TestARecordHasTheLimitsUnderWhichItsJobRan(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	most := jobs.DefaultLimits().Requestable()
	most.MemoryBytes, most.Wall = 100<<20, 5*time.Second
	b.MaxLimits = most
	lower, asked := most, jobs.RequestedLimits{Processes: 5}
	lower.Wall = time.Second
	fewer, server := most, jobs.DefaultLimits().Requestable()
	fewer.Processes = 5
	for name, tc := range map[string]struct {
		job  jobs.Job
		want jobs.RequestedLimits
	}{
		"decided at acceptance": {jobs.Job{Limits: lower}, lower},
		"open":                  {jobs.Job{Limits: server, LimitsOpen: true}, most},
		"of an earlier version": {jobs.Job{Inputs: &jobs.Inputs{Limits: asked}}, fewer},
	} {
		tc.job.Tenant, tc.job.ID, tc.job.Script = jobs.Operator, jobs.NewID(), "def main(): pass"
		if err := b.Store.Create(t.Context(), tc.job); err != nil {
			t.Fatal(err)
		}
		if err := b.deliver(t, tc.job.ID, 0); err != nil {
			t.Fatal(err)
		}
		if record := b.get(t, tc.job.ID); !record.State.Ended() || record.Limits != tc.want {
			t.Errorf("%s: it is %s, with %+v, want %+v", name, record.State, record.Limits, tc.want)
		}
	}
}
