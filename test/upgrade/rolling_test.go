package upgrade

import (
	"context"
	"fmt"
	"testing"
	"time"

	"cellblock/internal/redistest"
	"cellblock/test/stack"
)

const (
	// replicas is how many API processes and how many workers a rolling upgrade replaces.
	replicas = 2
	// rollingClients do each kind of work, with a pause that leaves the machine time to start programs.
	rollingClients = 2
	rollingPause   = 200 * time.Millisecond
)

// rolled is a line about the rolling upgrade.
var rolled string

// rolling is a service whose parts are replaced one by one under load.
type rolling struct {
	*service
	front   *front
	workers []*stack.Process
	apis    map[string]*stack.Process
	load    *crew
}

// TestRollingUpgrade replaces the workers of the old version, then its API, and then goes back in the opposite order,
// while clients do every kind of work.
func TestRollingUpgrade(t *testing.T) { //nolint:paralleltest // uses the whole machine
	r := &rolling{service: startService(t), front: newFront(), apis: map[string]*stack.Process{}}
	for range replicas {
		r.addAPI(t, old)
		r.workers = append(r.workers, r.startWorker(t, old))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*workBound)
	defer cancel()
	runs := newLedger()
	operator := newParty(r.front, r.front, token, runs, r.hooks)
	oldHas := operator.features(ctx, r.front)
	r.load = startCrew(ctx, operator, rollable(oldHas), rollingClients, rollingPause)
	r.awaitRounds(t)

	r.replaceWorkers(t, current)
	r.replaceAPIs(t, current)
	extra := r.startNewWork(ctx, t, operator, oldHas)
	r.awaitRounds(t)
	rounds := extra.dismiss(t)

	r.replaceAPIs(t, old)
	client := redistest.Client(t, r.RedisURL)
	await(t, "no job of the new API waits", time.Minute, func() error { return noneWaits(ctx, client) })
	r.replaceWorkers(t, old)
	rounds += r.load.dismiss(t)
	r.awaitSettled(t)
	c := runs.verify(t, r.runs)
	rolled = fmt.Sprintf("rolling upgrade and back: %d pieces of work, %d jobs, %d ran, %d twice, %d lost",
		rounds, c.jobs, c.ran, c.twice, c.lost)
}

// rollable returns the kinds that every version of the API has, whose work may meet both at any time.
func rollable(has features) (all []kind) {
	for _, k := range kinds {
		if !k.byTenant && (k.has == nil || k.has(has, has)) {
			all = append(all, k)
		}
	}
	return all
}

// startNewWork starts the kinds that only the new version has, and those of a tenant.
func (r *rolling) startNewWork(ctx context.Context, t *testing.T, operator *party, oldHas features) *crew {
	t.Helper()
	tenant := operator.newTenant(ctx, t)
	var added []kind
	for _, k := range kinds {
		if k.byTenant || k.has != nil && !k.has(oldHas, oldHas) {
			added = append(added, k)
		}
	}
	return startCrew(ctx, tenant, added, 1, rollingPause)
}

// awaitRounds waits until each kind of work was done more often than it has clients: then at least one round of each
// began after now.
func (r *rolling) awaitRounds(t *testing.T) {
	t.Helper()
	want := make([]int64, len(r.load.rounds))
	for i := range want {
		want[i] = r.load.rounds[i].Load() + rollingClients + 1
	}
	await(t, "each kind of work goes on", stack.Scaled(time.Minute), func() error {
		for i, k := range r.load.kinds {
			if n := r.load.rounds[i].Load(); n < want[i] {
				return fmt.Errorf("%s: %d rounds of %d", k.name, n, want[i])
			}
		}
		return nil
	})
}

func (r *rolling) replaceWorkers(t *testing.T, v version) {
	t.Helper()
	for i, worker := range r.workers {
		if err := worker.Stop(); err != nil {
			t.Error(err)
		}
		r.workers[i] = r.startWorker(t, v)
		r.awaitRounds(t)
		t.Logf("worker %d is %s", i+1, v.name)
	}
}

func (r *rolling) addAPI(t *testing.T, v version) {
	t.Helper()
	url, p := r.startAPI(t, v)
	r.apis[url] = p
	r.front.add(url)
}

// replaceAPIs replaces each replica after another has come. Its clients go elsewhere when it is gone.
func (r *rolling) replaceAPIs(t *testing.T, v version) {
	t.Helper()
	before := r.apis
	r.apis = map[string]*stack.Process{}
	for url, p := range before {
		r.addAPI(t, v)
		r.front.remove(url)
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		r.awaitRounds(t)
		t.Logf("an API replica is %s", v.name)
	}
}
