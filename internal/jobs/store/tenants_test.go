package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

func TestNothingIsStoredWithoutATenant(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	if err := s.Create(t.Context(), jobs.Job{ID: jobs.NewID(), Script: "x"}); err == nil {
		t.Error("a job without a tenant was stored")
	}
	if _, err := s.CreateBatch(t.Context(), "", jobs.NewID(), "", []string{jobs.NewID()}); err == nil {
		t.Error("a batch without a tenant was stored")
	}
	if _, err := s.CreateFile(t.Context(), jobs.StoredFile{ID: jobs.NewFileID()}, time.Hour, time.Hour); err == nil {
		t.Error("a file without a tenant was stored")
	}
	if keys := client.Keys(t.Context(), "*").Val(); len(keys) > 0 {
		t.Errorf("Redis has %v", keys)
	}
}

// What an earlier version stored has no tenant, and belongs to the operator.
func TestTheOwnerAndTheOperatorSeeWhatIsThere(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	theirs, ours := createOwned(t, s, "acme"), createOwned(t, s, jobs.Operator)
	if tenant := client.HGet(t.Context(), jobKey(ours.jobs[0]), "tenant").Val(); tenant != "" {
		t.Errorf("the operator's is stored as %q", tenant)
	}
	for _, c := range []struct {
		caller jobs.Caller
		of     owned
		tenant jobs.Tenant
	}{{acme, theirs, "acme"}, {operator, theirs, "acme"}, {operator, ours, jobs.Operator}} {
		for _, id := range c.of.jobs {
			record, err := s.Describe(t.Context(), c.caller, id, time.Minute)
			if err != nil || record.Tenant != c.tenant {
				t.Errorf("%s sees %+v, %v", c.caller.Tenant, record, err)
			}
		}
		if _, err := s.Batch(t.Context(), c.caller, c.of.batch); err != nil {
			t.Error(err)
		}
		if file, err := s.StoredFile(t.Context(), c.caller, c.of.file); err != nil || file.Tenant != c.tenant {
			t.Errorf("%s sees %+v, %v", c.caller.Tenant, file, err)
		}
		if _, entries, err := s.Tail(t.Context(), c.caller, c.of.jobs[1], "", 10); err != nil || len(entries) != 1 {
			t.Errorf("%s reads %v, %v", c.caller.Tenant, entries, err)
		}
	}
	if _, entries, err := s.Tail(t.Context(), beta, theirs.jobs[1], "", 10); !isNotFound(err) || entries != nil {
		t.Errorf("another tenant reads %v, %v", entries, err)
	}
}

// An id that a client knows of another tenant's batch must not become its own.
func TestABatchKeepsItsTenant(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	theirs := createOwned(t, s, "acme")
	if ids, err := s.CreateBatch(t.Context(), "beta", theirs.batch, "", []string{jobs.NewID()}); err == nil {
		t.Errorf("another tenant got the jobs %v", ids)
	}
	batch, err := s.Batch(t.Context(), acme, theirs.batch)
	if err != nil || !slices.Equal(batch.JobIDs, theirs.jobs[:1]) {
		t.Errorf("the batch is %+v, %v", batch, err)
	}
}

func TestIdempotencyKeysOfTenantsDiffer(t *testing.T) {
	t.Parallel()
	known := map[string]string{}
	for _, tenant := range []jobs.Tenant{jobs.Operator, "acme", "beta", "", "b"} {
		for _, key := range []string{"k", "batch\x00k", "acme", "eta"} {
			stored, name := store.IdempotencyKey(tenant, key), fmt.Sprintf("%q of %q", key, tenant)
			if other, taken := known[stored]; taken {
				t.Errorf("%s is %s", name, other)
			}
			known[stored] = name
		}
	}
	const earlier = "cellblock:{8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a}:idempotency"
	if got := store.IdempotencyKey(jobs.Operator, "k"); got != earlier {
		t.Errorf("the operator's key is %s; an earlier version stored %s", got, earlier)
	}
}

// listed returns the ids of all pages.
func listed(t *testing.T, s *store.Store, caller jobs.Caller, query jobs.ListQuery) (ids []string) {
	t.Helper()
	for {
		page, err := s.List(t.Context(), caller, query)
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range page.Jobs {
			ids = append(ids, record.ID)
		}
		if query.Before = page.Next; page.Next == "" {
			return ids
		}
	}
}

func TestListsOfTenants(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	all, of := []string{}, map[jobs.Tenant][]string{}
	create := func(tenant jobs.Tenant) {
		id := createJob(t, s, func(job *jobs.Job) { job.Tenant = tenant }).ID
		all, of[tenant] = append(all, id), append(of[tenant], id)
	}
	for i := range 60 {
		for _, tenant := range []jobs.Tenant{jobs.Operator, "acme", "beta"}[:1+i%3] {
			create(tenant)
		}
	}
	for range 100 {
		create("acme") // the newest of all
	}
	for range 3 {
		create("few")
	}
	newest := func(ids []string) []string {
		slices.Sort(ids)
		slices.Reverse(ids)
		return ids
	}
	for _, c := range []struct {
		name   string
		caller jobs.Caller
		tenant jobs.Tenant
		want   []string
	}{
		{"the operator", operator, "", newest(all)},
		{"the operator, of one", operator, "acme", newest(of["acme"])},
		{"the operator, of itself", operator, jobs.Operator, newest(of[jobs.Operator])},
		{"the operator, of an unknown one", operator, "nobody", nil},
		{"a tenant", acme, "", newest(of["acme"])},
		{"a tenant, of itself", acme, "acme", newest(of["acme"])},
		{"a tenant, of another", acme, "beta", nil},
		{"a tenant, of the operator", acme, jobs.Operator, nil},
		{"a tenant without jobs", jobs.Caller{Tenant: "new"}, "", nil},
		{"no caller", jobs.Caller{}, "", nil},
		{"no caller, of the operator", jobs.Caller{}, jobs.Operator, nil},
	} {
		for _, limit := range []int{7, 200} {
			got := listed(t, s, c.caller, jobs.ListQuery{Tenant: c.tenant, Limit: limit})
			if !slices.Equal(got, c.want) {
				t.Errorf("%s sees %d jobs on pages of %d, want %d:\n%v", c.name, len(got), limit, len(c.want), got)
			}
		}
	}
	// A cursor is only a position.
	query := jobs.ListQuery{Before: of["beta"][10], Limit: 200}
	if got := listed(t, s, acme, query); slices.ContainsFunc(got, func(id string) bool { return id >= query.Before }) {
		t.Errorf("from a cursor of another tenant: %v", got)
	}
	tenants, err := s.Tenants(t.Context())
	if want := []jobs.Tenant{jobs.Operator, "acme", "beta", "few"}; err != nil || !slices.Equal(tenants, want) {
		t.Errorf("the tenants are %v, %v", tenants, err)
	}
}
