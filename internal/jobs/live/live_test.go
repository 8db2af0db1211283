package live_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/live"
	"cellblock/internal/jobs/store"
	"cellblock/internal/membudget"
	"cellblock/internal/notify"
	"cellblock/internal/redisconn"
	"cellblock/internal/redistest"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

// fixture is a hub, and a store with which the test acts as the worker.
type fixture struct {
	*live.Hub
	*store.Store
	budget *membudget.Budget
	client redis.UniversalClient
	server *redistest.Server
	// channel and logger are the hub's.
	channel *notify.Channel
	logger  *slog.Logger
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	b := &fixture{server: redistest.StartServer(t), budget: membudget.New(1<<20, 100*time.Millisecond)}
	b.client = redistest.Client(t, b.server.URL())
	b.Store = store.New(b.client, store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Hour}).WithBudget(b.budget)
	channel := notify.NewChannel()
	b.channel, b.logger = channel, slog.New(slog.DiscardHandler)
	b.Hub = live.New(b.Store, b.channel, b.logger)
	t.Cleanup(b.Close)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var listener sync.WaitGroup
	subscribed := make(chan struct{})
	listener.Go(func() {
		polled := sync.OnceFunc(func() { close(subscribed) })
		notify := func(key string) { channel.Notify(key, struct{}{}) }
		redisconn.Listen(ctx, b.client, channel.Name, time.Minute, notify, func(context.Context) { polled() })
	})
	<-subscribed
	t.Cleanup(func() {
		stop()
		listener.Wait()
	})
	return b
}

// asOperator returns a context whose caller sees everything.
func asOperator(ctx context.Context) context.Context {
	return jobs.WithCaller(ctx, jobs.OperatorCaller())
}

func (b *fixture) create(t *testing.T) string {
	t.Helper()
	id := jobs.NewID()
	if err := b.Create(t.Context(), jobs.Job{Tenant: jobs.Operator, ID: id, Script: "def main(): pass"}); err != nil {
		t.Fatal(err)
	}
	return id
}

func (b *fixture) run(t *testing.T, id string) {
	t.Helper()
	if _, err := b.ClaimStart(t.Context(), id, "token", "worker", time.Minute); err != nil {
		t.Fatal(err)
	}
}

func (b *fixture) print(t *testing.T, id string, at int, text string) {
	t.Helper()
	chunks := []jobs.OutputChunk{{Stream: jobs.Stdout, Offset: at, Text: text}}
	if err := b.AppendOutput(t.Context(), id, chunks, time.Minute); err != nil {
		t.Fatal(err)
	}
}

func (b *fixture) end(t *testing.T, id, stdout string) {
	t.Helper()
	if _, err := b.End(t.Context(), id, jobs.Outcome{Result: jsontext.Value("1"), Stdout: stdout}); err != nil {
		t.Fatal(err)
	}
}

// watch is one watch, which runs in its own goroutine.
type watch struct {
	events chan jobs.Event
	ended  chan error
	stop   context.CancelFunc
}

func (b *fixture) watch(t *testing.T, id string, from jobs.Position) *watch {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	w := &watch{events: make(chan jobs.Event, 10_000), ended: make(chan error, 1), stop: stop}
	go func() {
		w.ended <- b.Hub.Watch(asOperator(ctx), id, from, time.Minute, func(events []jobs.Event) error {
			for _, event := range events {
				w.events <- event
			}
			return nil
		})
	}()
	var once sync.Once
	t.Cleanup(func() { once.Do(stop) })
	return w
}

func (w *watch) next(t *testing.T) jobs.Event {
	t.Helper()
	select {
	case event := <-w.events:
		return event
	case err := <-w.ended:
		w.ended <- err
		select {
		case event := <-w.events: // sent before the end
			return event
		default:
			t.Fatalf("the watch ended: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("no event")
	}
	return jobs.Event{}
}

func (w *watch) wantState(t *testing.T, state jobs.State) {
	t.Helper()
	if event := w.next(t); event.State != state || event.Position.State != state {
		t.Fatalf("got %+v, want %s", event, state)
	}
}

// wantText reads until text has arrived, in any number of events.
func (w *watch) wantText(t *testing.T, text string) jobs.Position {
	t.Helper()
	for got := ""; ; {
		event := w.next(t)
		got += event.Output.Text
		if event.Output.Text == "" || !strings.HasPrefix(text, got) {
			t.Fatalf("got %+v, want the text %.80q", event, text)
		}
		if got == text {
			return event.Position
		}
	}
}

func (w *watch) wantEnd(t *testing.T) {
	t.Helper()
	if event := w.next(t); event.End == nil || !event.Position.Ended() || string(event.End.Outcome.Result) != "1" {
		t.Fatalf("got %+v, want the end", event)
	}
	if err := <-w.ended; err != nil {
		t.Fatal(err)
	}
}

func TestAJobIsWatchedFromItsQueueToItsEnd(t *testing.T) {
	t.Parallel()
	b := newFixture(t)
	id := b.create(t)
	w := b.watch(t, id, jobs.Position{})
	w.wantState(t, jobs.StateQueued)
	b.run(t, id)
	w.wantState(t, jobs.StateRunning)
	b.print(t, id, 0, "one\n")
	w.wantText(t, "one\n")
	b.print(t, id, 0, "one\n") // sent again, after a lost reply
	b.print(t, id, 4, "two\n")
	w.wantText(t, "two\n")
	b.end(t, id, "one\ntwo\nthree\n")
	w.wantText(t, "three\n")
	w.wantEnd(t)
}

func TestPrintsAreSentAtOnce(t *testing.T) {
	t.Parallel()
	b := newFixture(t)
	id := b.create(t)
	b.run(t, id)
	w := b.watch(t, id, jobs.Position{})
	w.wantState(t, jobs.StateRunning)
	slow := 0
	for i := range 20 {
		start := time.Now()
		b.print(t, id, 2*i, "x\n")
		w.wantText(t, "x\n")
		if time.Since(start) > 500*time.Millisecond {
			slow++
		}
	}
	if slow > 5 {
		t.Errorf("%d of 20 prints waited for a poll", slow)
	}
}

func TestManyWatchersAreOneReader(t *testing.T) {
	t.Parallel()
	b := newFixture(t)
	id := b.create(t)
	b.run(t, id)
	reads := func() (n int) {
		info := b.client.Info(t.Context(), "commandstats").Val()
		for line := range strings.Lines(info) {
			if rest, is := strings.CutPrefix(line, "cmdstat_xrange:calls="); is {
				_, _ = fmt.Sscanf(rest, "%d", &n)
			}
		}
		return n
	}
	var all []*watch
	for range 10 {
		all = append(all, b.watch(t, id, jobs.Position{}))
	}
	for _, w := range all {
		w.wantState(t, jobs.StateRunning)
	}
	if n := b.Watchers(); n != 10 {
		t.Errorf("%d watch", n)
	}
	before, begun := reads(), time.Now()
	const prints = 50
	for i := range prints {
		b.print(t, id, 2*i, "x\n")
	}
	for _, w := range all {
		w.wantText(t, strings.Repeat("x\n", prints))
	}
	// One for each print or fewer, and one for each second.
	if n := reads() - before; n > prints+2+2*int(time.Since(begun).Seconds()) {
		t.Errorf("%d reads for %d prints", n, prints)
	}
	b.end(t, id, strings.Repeat("x\n", prints))
	for _, w := range all {
		w.wantEnd(t)
	}
	for deadline := time.Now().Add(5 * time.Second); b.Watchers() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("watchers are left behind")
		}
	}
}

func TestLateAndReturningWatchersMissNothing(t *testing.T) {
	t.Parallel()
	b := newFixture(t)
	id := b.create(t)
	b.run(t, id)
	first := b.watch(t, id, jobs.Position{})
	first.wantState(t, jobs.StateRunning)
	// More text than a feed keeps.
	line := strings.Repeat("é", 5000)
	var whole strings.Builder
	for range 100 {
		b.print(t, id, whole.Len(), line)
		whole.WriteString(line)
	}
	first.wantText(t, whole.String())
	late := b.watch(t, id, jobs.Position{})
	late.wantState(t, jobs.StateRunning)
	late.wantText(t, whole.String())
	back := b.watch(t, id, jobs.Position{State: jobs.StateRunning, Stdout: 10_000})
	back.wantText(t, whole.String()[10_000:])
	// Pieces before the position are read and skipped, many in a row.
	near := b.watch(t, id, jobs.Position{State: jobs.StateRunning, Stdout: 900_000})
	near.wantText(t, whole.String()[900_000:])
	last := "é and the end\n"
	b.print(t, id, whole.Len(), last)
	whole.WriteString(last)
	for _, w := range []*watch{first, late, back, near} {
		w.wantText(t, last)
	}
	b.end(t, id, whole.String())
	for _, w := range []*watch{first, late, back, near} {
		w.wantEnd(t)
	}
	after := b.watch(t, id, jobs.Position{})
	after.wantText(t, whole.String())
	after.wantEnd(t)
	again := b.watch(t, id, jobs.Position{State: jobs.StateRunning, Stdout: whole.Len() - len(last)})
	again.wantText(t, last)
	again.wantEnd(t)
}

func TestTheRecordReplacesALostStream(t *testing.T) {
	t.Parallel()
	b := newFixture(t)
	id := b.create(t)
	b.run(t, id)
	w := b.watch(t, id, jobs.Position{})
	w.wantState(t, jobs.StateRunning)
	b.print(t, id, 0, "one\n")
	w.wantText(t, "one\n")
	if err := b.client.Del(t.Context(), store.EventsKey(id)).Err(); err != nil {
		t.Fatal(err)
	}
	b.print(t, id, 8, "three\n") // the second is lost: this must not come before it
	b.end(t, id, "one\ntwo\nthree\n")
	w.wantText(t, "two\nthree\n")
	w.wantEnd(t)
}

func TestAKilledJobKeepsStreamedOutput(t *testing.T) {
	t.Parallel()
	b := newFixture(t)
	id := b.create(t)
	b.run(t, id)
	w := b.watch(t, id, jobs.Position{})
	w.wantState(t, jobs.StateRunning)
	b.print(t, id, 0, "one\n")
	w.wantText(t, "one\n")
	b.print(t, id, 4, "two\n")
	outcome := jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeWorkerLost, Message: "the worker was lost"}}
	if _, err := b.End(t.Context(), id, outcome); err != nil {
		t.Fatal(err)
	}
	w.wantText(t, "two\n") // arrives even though the record does not have it
	if event := w.next(t); event.End == nil || event.End.Outcome.Failure.Code != jobs.CodeWorkerLost {
		t.Errorf("got %+v", event)
	}
}

func TestUnknownJobsAndAnAbsentRedis(t *testing.T) {
	t.Parallel()
	b := newFixture(t)
	code := func(err error) jobs.Code {
		var known *jobs.Error
		errors.As(err, &known)
		return known.Code
	}
	if err := <-b.watch(t, jobs.NewID(), jobs.Position{}).ended; code(err) != jobs.CodeNotFound {
		t.Errorf("unknown: %v", err)
	}
	id := b.create(t)
	b.run(t, id)
	w := b.watch(t, id, jobs.Position{})
	w.wantState(t, jobs.StateRunning)
	b.print(t, id, 0, "one\n")
	w.wantText(t, "one\n")
	b.server.Kill()
	if err := <-b.watch(t, jobs.NewID(), jobs.Position{}).ended; code(err) != jobs.CodeUnavailable {
		t.Errorf("without Redis: %v", err)
	}
	if err := b.server.Start(); err != nil {
		t.Fatal(err)
	}
	b.print(t, id, 4, "two\n")
	w.wantText(t, "two\n")
	b.end(t, id, "one\ntwo\n")
	w.wantEnd(t)
}

func TestIdleWatchersReceiveHeartbeats(t *testing.T) {
	t.Parallel()
	b := newFixture(t)
	id := b.create(t)
	ctx, stop := context.WithCancel(t.Context())
	beats := 0
	err := b.Hub.Watch(asOperator(ctx), id, jobs.Position{}, 20*time.Millisecond, func(events []jobs.Event) error {
		if len(events) == 0 {
			beats++
		}
		if beats == 3 {
			stop()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || beats != 3 {
		t.Errorf("got %v after %d", err, beats)
	}
	broken := errors.New("the client is gone")
	err = b.Hub.Watch(asOperator(t.Context()), id, jobs.Position{}, time.Minute,
		func([]jobs.Event) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestCloseEndsWatches(t *testing.T) {
	t.Parallel()
	b := newFixture(t)
	w := b.watch(t, b.create(t), jobs.Position{})
	w.wantState(t, jobs.StateQueued)
	b.Close()
	if err := <-w.ended; err == nil {
		t.Error("the watch ended as if the job had")
	}
}
