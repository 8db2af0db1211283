package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// The state is another one after whatever changes what Fleet returns, and only then.
func TestTheFleetIsReadOnceUntilItChanges(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	offer := store.Offer{Environments: map[string]string{"default": "a"}}
	beat := func(owner string, ttl time.Duration, changed bool, held ...string) {
		t.Helper()
		offer.Changed = changed
		if err := s.Heartbeat(t.Context(), owner, ttl, offer, held...); err != nil {
			t.Fatal(err)
		}
	}
	known := ""
	read := func(what string, want int) {
		t.Helper()
		fleet, state, err := s.FleetUnless(t.Context(), known)
		if err != nil || len(fleet) != want || state == "" {
			t.Errorf("%s: got %d workers and the state %q, %v; want %d workers", what, len(fleet), state, err, want)
		}
		known = state
	}
	read("no worker", 0)
	beat("h/1", time.Hour, true)
	read("a new worker", 1)
	read("nothing", 0)
	beat("h/1", time.Hour, false, "job")
	beat("h/1", time.Hour, false)
	read("heartbeats", 0)
	beat("h/2", time.Hour, false)
	read("another one", 2)
	beat("h/2", time.Hour, true)
	read("another offer", 2)
	if err := s.MarkDraining(t.Context(), "h/2"); err != nil {
		t.Fatal(err)
	}
	read("one that drains", 1)
	if err := s.MarkDraining(t.Context(), "h/2"); err != nil {
		t.Fatal(err)
	}
	read("one that drains still", 0)
	if err := s.RemoveWorker(t.Context(), "h/2"); err != nil {
		t.Fatal(err)
	}
	read("one that signed off", 1)
	beat("h/3", time.Hour, false, "job")
	beat("h/4", time.Hour, false)
	read("two more", 3)
	expired := func(owner string, ago time.Duration) {
		score := float64(client.Time(t.Context()).Val().Add(-ago).UnixMilli())
		client.ZAdd(t.Context(), "cellblock:workers", redis.Z{Score: score, Member: owner})
	}
	expired("h/3", time.Second)
	read("one with a job whose heartbeat has expired", 2)
	expired("h/1", time.Second)
	read("one without a job whose heartbeat is late", 2)
	expired("h/1", time.Minute)
	read("one without a job whose heartbeat has expired", 1)
	client.FlushAll(t.Context())
	if fleet, state, err := s.FleetUnless(t.Context(), known); len(fleet) != 0 || state == known || err != nil {
		t.Errorf("an empty Redis: got %d workers, %q, %v", len(fleet), state, err)
	}
}

// What is read each second, for each pass of the reaper and for a page costs as many commands with many workers.
func TestWhatIsReadOfTheFleetDoesNotGrowWithIt(t *testing.T) {
	t.Parallel()
	const many = 200
	s, client := newStore(t)
	state := ""
	for i := range many {
		owner := fmt.Sprint("h/", i)
		if err := s.Heartbeat(t.Context(), owner, time.Hour, store.Offer{}, "job-"+owner); err != nil {
			t.Fatal(err)
		}
	}
	alive, err := s.AliveWorkers(t.Context(), []string{"h/7", "h/gone"})
	if err != nil || len(alive) != 1 || !alive["h/7"].InFlight["job-h/7"] {
		t.Errorf("got %v, %v", alive, err)
	}
	if _, state, err = s.FleetUnless(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	for what, read := range map[string]func() error{
		"the reaper": func() error { _, err := s.AliveWorkers(t.Context(), []string{"h/7", "h/8"}); return err },
		"an API":     func() error { _, _, err := s.FleetUnless(t.Context(), state); return err },
		"a page":     func() error { _, err := s.ListWorkers(t.Context()); return err },
	} {
		before := sum(calls(t, client))
		if err := read(); err != nil {
			t.Error(err)
		}
		if n := sum(calls(t, client)) - before; n > 10 {
			t.Errorf("%s: %d commands", what, n)
		}
	}
}

// sum returns the number of all commands.
func sum(calls map[string]int) (n int) {
	for _, each := range calls {
		n += each
	}
	return n
}

// A command is sent to the worker that runs the job, not to the fleet; to all only if that worker is of an earlier
// version, which listens there alone.
func TestACommandIsSentToOneWorker(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	running := jobs.Job{Tenant: jobs.Operator, ID: jobs.NewID(), Script: "x"}
	if err := s.Create(t.Context(), running); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ClaimStart(t.Context(), running.ID, "token", "h/1", time.Minute); err != nil {
		t.Fatal(err)
	}
	const all = "cellblock:commands"
	subscribe := func(channel string) *redis.PubSub {
		subscription := client.Subscribe(t.Context(), channel)
		t.Cleanup(func() { _ = subscription.Close() })
		if _, err := subscription.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		return subscription
	}
	watch := func() {
		t.Helper()
		if _, err := s.Watch(t.Context(), jobs.OperatorCaller(), running.ID, "c"); err != nil {
			t.Fatal(err)
		}
	}
	received := func(subscription *redis.PubSub) string {
		t.Helper()
		message, err := subscription.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return message.Payload
	}
	fleet, want := subscribe(all), "watched "+running.ID
	watch()
	if got := received(fleet); got != want {
		t.Errorf("a worker of an earlier version received %q", got)
	}
	one := subscribe(store.CommandChannel("h/1"))
	watch()
	if got := received(one); got != want {
		t.Errorf("the worker received %q", got)
	}
	client.Publish(t.Context(), all, "last")
	if got := received(fleet); got != "last" {
		t.Errorf("the fleet received %q", got)
	}
}

func TestHolders(t *testing.T) {
	t.Parallel()
	var got []string
	for _, state := range []jobs.State{jobs.StateQueued, jobs.StateRunning, jobs.StateSucceeded, ""} {
		got = append(got, store.OpenJob{State: state, Owner: "runs", TakenBy: "took"}.Holder())
	}
	if want := []string{"took", "runs", "", ""}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
