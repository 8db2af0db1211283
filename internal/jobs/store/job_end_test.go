package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
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
	messages := subscribe(t, client)
	first, second := createJob(t, s), createJob(t, s)
	endJob(t, s, first.ID, succeeded("1"))
	endJob(t, s, first.ID, succeeded("2"))
	endJob(t, s, second.ID, succeeded("1"))
	for _, want := range []string{first.ID, second.ID} {
		if id, _ := store.ParseEnd(messages()); id != want {
			t.Fatalf("got %s, want %s", id, want)
		}
	}
	silent := createJob(t, s, func(j *jobs.Job) { j.ReplyTo = "" })
	if !endJob(t, s, silent.ID, succeeded("1")) {
		t.Error("a job without a reply channel does not end")
	}
}

// subscribe returns a function that waits for the next message on the channel of createJob's jobs.
func subscribe(t *testing.T, client redis.UniversalClient) func() string {
	t.Helper()
	subscription := client.Subscribe(t.Context(), "replies")
	t.Cleanup(func() { _ = subscription.Close() })
	if _, err := subscription.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func() string {
		t.Helper()
		message, err := subscription.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return message.Payload
	}
}

// The process that waits for a synchronous job need not read a small record.
func TestASmallRecordIsPublished(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	messages := subscribe(t, client)
	withFiles := succeeded(`" \n é"`)
	withFiles.Files = []jobs.OutputFile{{Name: "a b\n", Size: 3, Key: "k"}}
	withFiles.Stdout = "a\nb\x00"
	synchronous := func(*jobs.Job) {}
	for name, c := range map[string]struct {
		outcome jobs.Outcome
		change  func(*jobs.Job)
		whole   bool
	}{
		"a result and files": {withFiles, synchronous, true},
		"a failure":          {failed(jobs.CodeTimeout), synchronous, true},
		"a script":           {succeeded("null"), func(j *jobs.Job) { j.Entry = jobs.EntryScript }, true},
		"displays":           {shows("x"), func(j *jobs.Job) { j.Entry = jobs.EntryCell }, true},
		"large displays":     {shows(strings.Repeat("x", 32<<10)), synchronous, false},
		"31 KiB":             {succeeded(`"` + strings.Repeat("x", 31<<10) + `"`), synchronous, true},
		"32 KiB":             {succeeded(`"` + strings.Repeat("x", 32<<10) + `"`), synchronous, false},
		"asynchronous":       {succeeded("1"), func(j *jobs.Job) { j.Async = true }, false},
		"with a webhook":     {succeeded("1"), func(j *jobs.Job) { j.WebhookURL = "http://192.0.2.1/" }, false},
	} {
		job := createJob(t, s, c.change)
		claimStart(t, s, job.ID, "a")
		endJob(t, s, job.ID, c.outcome)
		id, record := store.ParseEnd(messages())
		if id != job.ID || (record != nil) != c.whole {
			t.Errorf("%s: got %s, %v", name, id, record)
		}
		if c.whole {
			if diff := cmp.Diff(getRecord(t, s, job.ID), *record); diff != "" {
				t.Errorf("%s: the published record differs from the stored one: %s", name, diff)
			}
		}
	}
}

// A message that is none of ours wakes the waiting requests, which read the record.
func TestParseEndOfOtherMessages(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"": "", "key": "key", "a b": "a b", "a\n{}": "a\n{}",
		"id succeeded 1 2 3 2 1\n{": "id", "id succeeded 1 2 3 9 1\n{}1": "id", "id succeeded 1 2 3 -1 1\n{}1": "id",
		"id succeeded 1 2 3 9223372036854775807 9223372036854775807\n{}": "id", "id succeeded 1 2 3 2 0\n[]": "id",
	} {
		if id, record := store.ParseEnd(message); id != want || record != nil {
			t.Errorf("%q: got %q, %v", message, id, record)
		}
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
