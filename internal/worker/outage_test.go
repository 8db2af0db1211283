package worker

import (
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

func TestAJobThatEndsDuringAnOutageIsStoredAfterIt(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	b := newFixture(t, server.URL())
	stop := b.start(t)
	script, runs := countingScript(t, 500*time.Millisecond)
	id := b.submit(t, script)
	b.await(t, id, running)
	server.Kill()
	time.Sleep(1500 * time.Millisecond) // the job ends meanwhile
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if record := b.await(t, id, jobs.State.Ended); record.State != jobs.StateSucceeded {
		t.Errorf("got %+v", record)
	}
	// The worker continues, and the queue forgets the job.
	b.await(t, b.submit(t, "def main(): return 2"), jobs.State.Ended)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := runs(); n != 1 {
		t.Errorf("%d runs", n)
	}
	for _, list := range []string{"pending", "active"} {
		if n := b.Client.LLen(t.Context(), "asynq:{default}:"+list).Val(); n != 0 {
			t.Errorf("%d tasks are %s", n, list)
		}
	}
	for _, set := range []string{"retry", "archived"} {
		if n := b.Client.ZCard(t.Context(), "asynq:{default}:"+set).Val(); n != 0 {
			t.Errorf("%d tasks are %s", n, set)
		}
	}
}

func TestRetriesOfAnEndStopAfterEndPatience(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	b := newFixture(t, server.URL())
	b.Settings.EndPatience = 300 * time.Millisecond
	id := b.create(t, "def main():\n    import time\n    time.sleep(0.3)")
	answer := make(chan error)
	go func() { answer <- b.deliver(t, id, 0) }()
	b.await(t, id, running)
	server.Kill()
	select {
	case err := <-answer:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the retries do not end")
	}
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	good := Settings{EndPatience: time.Minute, DrainTimeout: 25 * time.Second}
	if err := good.Validate(15 * time.Second); err != nil {
		t.Error(err)
	}
	if err := good.Validate(25 * time.Second); err == nil {
		t.Error("a drain shorter than a job")
	}
	if err := (Settings{Concurrency: -1, DrainTimeout: time.Minute}).Validate(time.Second); err == nil {
		t.Error("nonsense")
	}
	good.Concurrency = MaxConcurrency + 1
	if err := good.Validate(15 * time.Second); err == nil ||
		!strings.Contains(err.Error(), "WORKER_CONCURRENCY is 513; 0 to 512 is possible") {
		t.Errorf("more jobs at once than user ids allow: %v", err)
	}
}
