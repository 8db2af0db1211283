package live_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/live"
	"cellblock/internal/membudget"
)

// reader is a client's request that reads at a pace.
type reader struct {
	client string
	pace   membudget.Pace
	cut    chan struct{}
}

func (r *reader) Client() string       { return r.client }
func (r *reader) Pace() membudget.Pace { return r.pace }
func (r *reader) Cut()                 { close(r.cut) }

// watchAs watches a job as a client, and calls seen with each event.
func (b *fixture) watchAs(
	t *testing.T, r *reader, id string, seen func(jobs.Event),
) (ended chan error, stop context.CancelFunc) {
	t.Helper()
	r.cut = make(chan struct{})
	ctx, stop := context.WithCancel(membudget.WithHolder(t.Context(), r))
	ended = make(chan error, 1)
	go func() {
		ended <- b.Hub.Watch(asOperator(ctx), id, jobs.Position{}, time.Minute, func(events []jobs.Event) error {
			for _, event := range events {
				seen(event)
			}
			return nil
		})
	}()
	return ended, stop
}

// TestPlacesAreShared lets one client take all places.
func TestPlacesAreShared(t *testing.T) {
	t.Parallel()
	b := newFixture(t)
	id := b.create(t)
	ignore := func(jobs.Event) {}
	ends := make(chan error, live.MaxWatchers)
	for range live.MaxWatchers {
		ended, stop := b.watchAs(t, &reader{client: "many"}, id, ignore)
		t.Cleanup(stop)
		go func() { ends <- <-ended }()
	}
	for deadline := time.Now().Add(20 * time.Second); b.Watchers() < live.MaxWatchers; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d watchers", b.Watchers())
		}
	}
	ended, _ := b.watchAs(t, &reader{client: "many"}, id, ignore)
	if err := <-ended; jobs.CodeOf(err) != jobs.CodeUnavailable {
		t.Errorf("one more of the same client: %v", err)
	}
	seen := make(chan jobs.Event, 10)
	_, stop := b.watchAs(t, &reader{client: "other"}, id, func(event jobs.Event) { seen <- event })
	defer stop()
	select {
	case event := <-seen:
		if event.State != jobs.StateQueued {
			t.Errorf("got %+v", event)
		}
	case <-time.After(5 * time.Second):
		t.Error("another client sees nothing")
	}
	if err := <-ends; jobs.CodeOf(err) != jobs.CodeUnavailable || !strings.Contains(err.Error(), "resume") {
		t.Errorf("the displaced watcher: %v", err)
	}
	if n := b.Watchers(); n != live.MaxWatchers {
		t.Errorf("%d watchers", n)
	}
}

// TestUnreadEndsLoseTheirMemory lets a watcher keep the end of a large job unread.
func TestUnreadEndsLoseTheirMemory(t *testing.T) {
	t.Parallel()
	b := newFixture(t)
	b.budget = membudget.New(1<<20, 5*time.Second)
	b.Store = b.WithBudget(b.budget)
	b.Hub = live.New(b.Store, b.channel, b.logger)
	t.Cleanup(b.Close)
	large := func() string {
		id := b.create(t)
		b.run(t, id)
		result := jsontext.Value(`"` + strings.Repeat("x", 800<<10) + `"`)
		if _, err := b.End(t.Context(), id, jobs.Outcome{Result: result}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	idle := &reader{client: "idle", pace: membudget.Stalled}
	held := make(chan struct{})
	ended, stop := b.watchAs(t, idle, large(), func(event jobs.Event) {
		if event.End != nil {
			close(held)
			<-idle.cut
		}
	})
	defer stop()
	<-held
	_, release, err := b.ReadBudgeted(membudget.WithHolder(t.Context(), &reader{client: "other"}),
		jobs.OperatorCaller(), large(), time.Second)
	release()
	if err != nil {
		t.Errorf("another client: %v", err)
	}
	<-ended
}
