package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
)

func TestWithdrawTakesQueuedJobsOnly(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	withdraw := func(id string) bool {
		t.Helper()
		stands, err := s.Withdraw(t.Context(), id, failed(jobs.CodeUnavailable))
		if err != nil {
			t.Fatal(err)
		}
		return stands
	}
	queued, running := createJob(t, s), createJob(t, s)
	claimStart(t, s, running.ID, "a")
	if !withdraw(queued.ID) || getRecord(t, s, queued.ID).State != jobs.StateCancelled {
		t.Error("a queued job was not withdrawn")
	}
	if claim := claimStart(t, s, queued.ID, "a"); !claim.Ended || claim.Token != "" {
		t.Errorf("a withdrawn job can be started: %+v", claim)
	}
	if withdraw(running.ID) || getRecord(t, s, running.ID).State != jobs.StateRunning {
		t.Error("a running job was withdrawn")
	}
	if withdraw(jobs.NewID()) {
		t.Error("a job that is not there was withdrawn")
	}
}

func TestTheEndIsPublishedOnce(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	subscription := client.Subscribe(t.Context(), "replies")
	defer subscription.Close()
	if _, err := subscription.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, second := createJob(t, s), createJob(t, s)
	endJob(t, s, first.ID, succeeded("1"))
	endJob(t, s, first.ID, succeeded("2"))
	endJob(t, s, second.ID, succeeded("1"))
	for _, want := range []string{first.ID, second.ID} {
		message, err := subscription.ReceiveMessage(t.Context())
		if err != nil || message.Payload != want {
			t.Fatalf("got %v, %v, want %s", message, err, want)
		}
	}
	silent := createJob(t, s, func(j *jobs.Job) { j.ReplyTo = "" })
	if !endJob(t, s, silent.ID, succeeded("1")) {
		t.Error("a job without a reply channel does not end")
	}
}

// A result is returned byte for byte as the script produced it.
func TestOutcomesAreKeptAsTheyAre(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	for _, result := range []string{
		`3.0`, `-0.0`, `1180591620717411303424`, `{"b":1,"a":2}`, `{"a":1,"a":2}`, `"\u00e9\ud83d\ude00<&>"`, `"é<&>"`,
		` [ 1 ]`, `null`, `""`,
		`"` + strings.Repeat("x", 4<<20-2) + `"`,
	} {
		job := createJob(t, s)
		endJob(t, s, job.ID, succeeded(result))
		if got := string(getRecord(t, s, job.ID).Outcome.Result); got != result {
			t.Errorf("got %.60q, want %.60q", got, result)
		}
	}
	line, memory, cpu := 3, int64(1<<40), 0.125
	want := jobs.Outcome{
		Failure: &jobs.Failure{
			Code: jobs.CodeExit, Message: "é\x00", Traceback: "a\nb", Line: line, ExitCode: &line,
			Limit: &jobs.LimitHit{Name: "wall", Value: 15, Unit: "seconds"},
		},
		Stderr:    "\u2028\t",
		Truncated: jobs.Truncated{Stderr: true},
		Usage:     jobs.Usage{QueuedMS: 0.5, CPUMS: &cpu, MemoryPeakBytes: &memory},
	}
	job := createJob(t, s)
	endJob(t, s, job.ID, want)
	got := getRecord(t, s, job.ID).Outcome
	if got.Result != nil || got.Stderr != want.Stderr || got.Truncated != want.Truncated || *got.Usage.CPUMS != cpu ||
		*got.Usage.MemoryPeakBytes != memory || got.Failure.Message != want.Failure.Message ||
		*got.Failure.ExitCode != line || *got.Failure.Limit != *want.Failure.Limit {
		t.Errorf("got %+v %+v", got, got.Failure)
	}
	broken := createJob(t, s)
	endJob(t, s, broken.ID, jobs.Outcome{Result: jsontext.Value("1"), Stdout: "a\xffb"})
	if got := getRecord(t, s, broken.ID).Outcome.Stdout; got != "a\ufffdb" {
		t.Errorf("got %q", got)
	}
}

func TestLifetimeFollowsTheKindOfJob(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	for _, c := range []struct {
		async bool
		want  time.Duration
	}{{true, settings.ResultTTL}, {false, settings.SyncResultTTL}} {
		job := createJob(t, s, func(j *jobs.Job) { j.Async = c.async })
		endJob(t, s, job.ID, succeeded("1"))
		if ttl := client.PTTL(t.Context(), jobKey(job.ID)).Val(); ttl > c.want || ttl < c.want-5*time.Second {
			t.Errorf("async %v: TTL is %s, want %s", c.async, ttl, c.want)
		}
	}
}

func TestTheFirstEndStands(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	job := createJob(t, s)
	claimStart(t, s, job.ID, "a")
	first := failed(jobs.CodeTimeout)
	if !endJob(t, s, job.ID, first) {
		t.Fatal("the first end does not stand")
	}
	before := getRecord(t, s, job.ID)
	if endJob(t, s, job.ID, succeeded("1")) {
		t.Error("a second end stands")
	}
	if !endJob(t, s, job.ID, first) {
		t.Error("the first end, sent again, does not know itself")
	}
	after := getRecord(t, s, job.ID)
	if after.State != jobs.StateFailed || after.Outcome.Failure.Code != jobs.CodeTimeout ||
		!after.FinishedAt.Equal(before.FinishedAt) {
		t.Errorf("got %+v", after)
	}
	if claim := claimStart(t, s, job.ID, "b"); !claim.Ended || claim.Token != "a" {
		t.Errorf("an ended job can be started: %+v", claim)
	}
}
