package worker

import (
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

const printing = "import time\ndef main():\n    for i in range(200):\n        print('line', i, flush=True)\n" +
	"        time.sleep(0.02)\n"

// streamed returns the stdout in a job's stream.
func (b *workerFixture) streamed(t *testing.T, id string) string {
	t.Helper()
	_, entries, err := b.Store.Tail(t.Context(), jobs.OperatorCaller(), id, "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, chunk := range entries {
		if chunk.Offset != text.Len() {
			t.Fatalf("a chunk is at %d, want %d", chunk.Offset, text.Len())
		}
		text.WriteString(chunk.Text)
	}
	return text.String()
}

func (b *workerFixture) awaitStreamed(t *testing.T, id string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for ; !strings.HasPrefix(b.streamed(t, id), "line 0\nline 1\n"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("streamed %q", b.streamed(t, id))
		}
	}
}

func (b *workerFixture) cancel(t *testing.T, id string) {
	t.Helper()
	if _, err := b.Store.Cancel(t.Context(), jobs.OperatorCaller(), id); err != nil {
		t.Fatal(err)
	}
	b.await(t, id, jobs.State.Ended)
}

func TestAWatchedJobStreamsItsOutput(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	queued := b.create(t, printing)
	state, err := b.Store.Watch(t.Context(), jobs.OperatorCaller(), queued, "replica")
	if err != nil || state != jobs.StateQueued {
		t.Fatalf("got %s, %v", state, err)
	}
	b.start(t)
	if err := b.producer.Enqueue(t.Context(), queued, jobs.Route{Priority: jobs.PriorityDefault}); err != nil {
		t.Fatal(err)
	}
	b.awaitStreamed(t, queued)
	b.cancel(t, queued)

	running1 := b.submit(t, printing)
	b.await(t, running1, running)
	time.Sleep(100 * time.Millisecond) // it has printed something by now
	if _, err := b.Store.Watch(t.Context(), jobs.OperatorCaller(), running1, "replica"); err != nil {
		t.Fatal(err)
	}
	b.awaitStreamed(t, running1)
	b.cancel(t, running1)
	if n := b.Client.PTTL(t.Context(), store.EventsKey(running1)).Val(); n <= 0 || n > 10*time.Second {
		t.Errorf("the stream is kept for %s after the end", n)
	}
}

// The message may be lost; the record has it too.
func TestALostMessageDoesNotLoseTheWatch(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.start(t)
	id := b.submit(t, printing)
	b.await(t, id, running)
	b.Client.HSet(t.Context(), "cellblock:{"+id+"}:job", string(store.CommandWatch), "1")
	b.awaitStreamed(t, id)
	b.cancel(t, id)
}

func TestAnUnwatchedJobHasNoStream(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.start(t)
	id := b.submit(t, "def main(): print('hello')")
	b.await(t, id, jobs.State.Ended)
	if keys := b.Client.Exists(t.Context(), store.EventsKey(id)).Val(); keys != 0 {
		t.Error("there is a stream")
	}
}

func TestAnOutageOfRedisLosesNoOutput(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	b := newFixture(t, server.URL())
	b.start(t)
	id := b.submit(t, printing)
	b.await(t, id, running)
	if _, err := b.Store.Watch(t.Context(), jobs.OperatorCaller(), id, "replica"); err != nil {
		t.Fatal(err)
	}
	b.awaitStreamed(t, id)
	server.Kill()
	time.Sleep(300 * time.Millisecond)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	before := len(b.streamed(t, id)) // also checks that no chunk is missing
	deadline := time.Now().Add(10 * time.Second)
	for ; len(b.streamed(t, id)) <= before+200; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the output stops")
		}
	}
	b.cancel(t, id)
}
