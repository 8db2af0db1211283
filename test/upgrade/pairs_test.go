package upgrade

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"cellblock/test/stack"
)

const (
	// each is how often a kind of work is done in a pair at once, and clients how many do each simple kind beside it.
	each, clients = 3, 5
	// workBound is the timeout of a test's work, longer than any pause of the service.
	workBound = 4 * time.Minute
)

// patience is how long work may take before it counts as waiting for a worker that it never gets. The longest that a
// job of the older queues waits is five seconds.
var patience = stack.Scaled(20 * time.Second)

// pair is a column of the table: the versions of the API that accept and read the work, and those of the workers.
type pair struct {
	name         string
	accept, read *version
	workers      []*version
}

var pairs = []pair{
	{"old API, old workers", &old, &old, []*version{&old, &old}},
	{"old API, new workers", &old, &old, []*version{&current, &current}},
	{"new API, old workers", &current, &current, []*version{&old, &old}},
	{"new API, new workers", &current, &current, []*version{&current, &current}},
	{"old API accepts, new reads", &old, &current, []*version{&old, &current}},
	{"new API accepts, old reads", &current, &old, []*version{&old, &current}},
}

// TestPairs does each kind of work under load in each pair.
func TestPairs(t *testing.T) { //nolint:paralleltest // each pair uses the whole machine
	for column, p := range pairs {
		t.Run(p.name, func(t *testing.T) { p.try(t, column) })
	}
}

func (p pair) try(t *testing.T, column int) {
	t.Helper()
	s := startService(t)
	url, _ := s.startAPI(t, *p.accept)
	accept, read := newFront(url), newFront(url)
	if p.read != p.accept {
		url, _ = s.startAPI(t, *p.read)
		read = newFront(url)
	}
	for _, v := range p.workers {
		s.startWorker(t, *v)
	}
	ctx, cancel := context.WithTimeout(t.Context(), workBound)
	defer cancel()
	runs := newLedger()
	operator := newParty(accept, read, token, runs, s.hooks)
	has := [2]features{operator.features(ctx, accept), operator.features(ctx, read)}
	tenant := operator
	if has[0].tenants {
		tenant = operator.newTenant(ctx, t)
	}
	await(t, "the API knows the environments", patience, func() error { return operator.environmentIsKnown(ctx) })
	load := startCrew(ctx, operator, kinds[:simple], clients, 0)
	await(t, "the load waits for workers", patience, func() error { return operator.someWait(ctx) })
	work := startWork(ctx, operator, tenant, has)
	waiting := work.unfinished(patience)
	if len(waiting) > 0 {
		s.startWorker(t, current)
	}
	work.all.Wait()
	load.dismiss(t)
	record(column, has, waiting, work.errors(t))
	s.awaitSettled(t)
	runs.verify(t, s.runs)
}

// features asks a replica what its version has.
func (p *party) features(ctx context.Context, at *front) features {
	keys, _ := p.send(ctx, at.url(), get("/admin/keys"))
	files, _ := p.send(ctx, at.url(), request{method: http.MethodPost, path: "/files?name=a", body: "a"})
	return features{tenants: keys == http.StatusOK, storedFiles: files == http.StatusCreated}
}

// newTenant makes a key of a tenant, and returns a party with it.
func (p *party) newTenant(ctx context.Context, t *testing.T) *party {
	t.Helper()
	var made struct{ Key string }
	fields := map[string]any{"tenant": "acme", "scopes": []string{"run", "read", "cancel"}}
	if err := p.doJSON(ctx, p.accept, post("/admin/keys", fields), &made, http.StatusCreated); err != nil {
		t.Fatal(err)
	}
	return newParty(p.accept, p.read, made.Key, p.ledger, p.hooks)
}

// environmentIsKnown returns an error until a worker has reported the environment: a batch is refused before.
func (p *party) environmentIsKnown(ctx context.Context) error {
	var list struct{ Environments []struct{ Name string } }
	if err := p.doJSON(ctx, p.accept, get("/environments"), &list, http.StatusOK); err != nil {
		return err
	}
	fields := map[string]any{}
	environment.AddTo(fields)
	for _, each := range list.Environments {
		if each.Name == fields["environment"] {
			return nil
		}
	}
	return errors.New("no worker has reported it")
}

// someWait returns an error until jobs wait behind those that run.
func (p *party) someWait(ctx context.Context) error {
	var page struct{ Jobs []job }
	if err := p.doJSON(ctx, p.accept, get("/jobs?limit=100&status=queued"), &page, http.StatusOK); err != nil {
		return err
	}
	if len(page.Jobs) <= slots {
		return errors.New("few jobs are queued")
	}
	return nil
}
