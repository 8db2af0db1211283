package store_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

// TestInputs checks that each worker that takes the job gets its inputs byte for byte, and that its end deletes them.
func TestInputs(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	binary := make([]byte, 1<<16)
	for i := range binary {
		binary[i] = byte(i)
	}
	for name, inputs := range map[string]*jobs.Inputs{
		"none": nil,
		"all": {
			Args: jsontext.Value(`{"a":3.0}`), Stdin: "é\n\x00", Env: map[string]string{"A": "b\nc"},
			Files: []jobs.File{
				{Path: "a\nb", Content: binary},
				{Path: "empty", Content: []byte{}},
				{Path: "c", Content: []byte("\n")},
			},
			Limits: jobs.RequestedLimits{
				Wall: 1500 * time.Microsecond, CPU: time.Second, MemoryBytes: 1, Processes: 2,
				OutputBytes: 3,
			},
		},
		"limits only": {Limits: jobs.RequestedLimits{Wall: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			job := createJob(t, s, func(j *jobs.Job) { j.Inputs = inputs })
			key := "cellblock:{" + job.ID + "}:inputs"
			for range 2 { // each delivery
				got, _, _, err := s.Take(t.Context(), job.ID, "worker", time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(inputs, got.Inputs); diff != "" {
					t.Errorf("not as they were (-want +got):\n%.1000s", diff)
				}
			}
			if n := client.Exists(t.Context(), key).Val(); (n == 1) != (inputs != nil) {
				t.Errorf("%d keys of inputs", n)
			}
			if !endJob(t, s, job.ID, succeeded("1")) {
				t.Error("the end does not stand")
			}
			if n := client.Exists(t.Context(), key).Val(); n != 0 {
				t.Error("the inputs are left after the end")
			}
		})
	}
}

// Large inputs take their time on a slow link, in both directions, and no timeout of a single command cuts them off.
func TestLargeInputsTravelOverASlowLink(t *testing.T) {
	t.Parallel()
	far := redistest.StartFar(t)
	client := redistest.Client(t, far.FarURL()+"?read_timeout=500ms&write_timeout=500ms")
	s := store.New(client, store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Hour})
	far.Disturb(t, "bandwidth", `"rate": 2000`)
	job := jobs.Job{
		Tenant: jobs.Operator,
		ID:     jobs.NewID(), Script: "x",
		Inputs: &jobs.Inputs{Files: []jobs.File{{Path: "f", Content: make([]byte, 2<<20)}}},
	}
	if err := s.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	for delivery := range 2 { // at the second one the job has waited for longer, so the reaper reports it too
		got, _, _, err := s.Take(t.Context(), job.ID, "w", 500*time.Millisecond)
		if err != nil || got.Inputs.Size() != job.Inputs.Size() {
			t.Fatalf("delivery %d: got %d bytes, %v", delivery, got.Inputs.Size(), err)
		}
	}
	if _, err := s.End(t.Context(), job.ID, succeeded(`"`+strings.Repeat("x", 2<<20)+`"`)); err != nil {
		t.Fatal(err)
	}
	if record, _, err := s.ReadBudgeted(t.Context(), operator, job.ID, 500*time.Millisecond); err != nil ||
		len(record.Outcome.Result) < 2<<20 {
		t.Fatal(err)
	}
}

// A result is sent once, also to a Redis that has not cached the script.
func TestALargeResultIsSentOnce(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	id := createJob(t, s).ID
	received := func() int64 {
		stats := client.InfoMap(t.Context(), "stats").Val()["Stats"]
		bytes, err := strconv.ParseInt(stats["total_net_input_bytes"], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	if err := client.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	before := received()
	if _, err := s.End(t.Context(), id, succeeded(`"`+strings.Repeat("x", 2<<20)+`"`)); err != nil {
		t.Fatal(err)
	}
	if bytes := received() - before; bytes < 2<<20 || bytes > 3<<20 {
		t.Errorf("Redis received %d bytes", bytes)
	}
}

// A job must not run without inputs that its request had.
func TestMissingInputsAreDamage(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	job := createJob(t, s, func(j *jobs.Job) { j.Inputs = &jobs.Inputs{Stdin: "x"} })
	if err := client.Del(t.Context(), "cellblock:{"+job.ID+"}:inputs").Err(); err != nil {
		t.Fatal(err)
	}
	taken, state, _, err := s.Take(t.Context(), job.ID, "w", time.Second)
	if !errors.Is(err, store.ErrDamaged) || taken.ID != job.ID || state != jobs.StateQueued {
		t.Errorf("got %+v, %s, %v", taken, state, err)
	}
	if !endJob(t, s, job.ID, succeeded("1")) {
		t.Error("the job cannot be ended")
	}
	if _, state, _, err := s.Take(t.Context(), job.ID, "w", time.Second); err != nil || state != jobs.StateSucceeded {
		t.Errorf("after the end: %s, %v", state, err)
	}
}

// Large inputs are stored before their job, with a TTL that goes once the job exists.
func TestLargeInputsComeWithTheirJob(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	step := store.Step{Lua: "local function step() end "}
	large := func() jobs.Job {
		content := make([]byte, store.LargeRecord)
		inputs := &jobs.Inputs{Files: []jobs.File{{Path: "f", Content: content}}}
		return jobs.Job{Tenant: jobs.Operator, ID: jobs.NewID(), Inputs: inputs}
	}
	ttl := func(job jobs.Job) time.Duration {
		return client.TTL(t.Context(), "cellblock:{"+job.ID+"}:inputs").Val()
	}
	const never, absent = time.Duration(-1), time.Duration(-2)
	job := large()
	for call, want := range []bool{true, false} { // the reply to the first call may be lost
		if fresh, err := s.Accept(t.Context(), job, step, store.OpenLimits{}); fresh != want || err != nil {
			t.Errorf("call %d: new is %v, %v", call, fresh, err)
		}
		if got := ttl(job); got != never {
			t.Errorf("call %d: the inputs have a TTL of %s", call, got)
		}
	}
	refused := large()
	_, err := s.Accept(t.Context(), refused, step, store.OpenLimits{Queue: 1})
	if jobs.CodeOf(err) != jobs.CodeQueueFull {
		t.Errorf("with a full queue: %v", err)
	}
	if got := ttl(refused); got != absent {
		t.Errorf("the inputs of a refused job are kept for %s", got)
	}
	endJob(t, s, job.ID, succeeded("1"))
	if fresh, err := s.Accept(t.Context(), job, step, store.OpenLimits{}); fresh || err != nil || ttl(job) != absent {
		t.Errorf("after the end: new is %v, %v, the inputs are kept for %s", fresh, err, ttl(job))
	}
}
