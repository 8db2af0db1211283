package tenantkeys

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

func TestMain(m *testing.M) {
	// A pool that lost its Redis looks whether it is closed only once a second.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// acme is a key that has everything.
var acme = jobs.KeySpec{
	Tenant: "acme", Name: `back end "1"`, Scopes: []jobs.Scope{jobs.ScopeRun, jobs.ScopeRead}, Lifetime: time.Hour,
	Limits: jobs.TenantLimits{
		Weight: 2, RequestsPerSecond: 0.5, Burst: 20, OpenJobs: 100, RunningJobs: 4, CPUPerDay: time.Hour,
		Largest: jobs.RequestedLimits{
			Wall: 5 * time.Second, CPU: 100 * time.Millisecond, MemoryBytes: 200 << 20, Processes: 4, OutputBytes: 1000,
		},
		Environments: []string{"default", "data-science"},
	},
}

func create(t *testing.T, store *Store, spec jobs.KeySpec) (secret string, key jobs.Key) {
	t.Helper()
	secret, key, err := store.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return secret, key
}

// isKeyID reports whether a text is an id of a key, in lower case.
func isKeyID(text string) bool {
	id, ok := jobs.ParseKeyID(text)
	return ok && id == text
}

func wantCode(t *testing.T, err error, code jobs.Code) {
	t.Helper()
	if jobs.CodeOf(err) != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func ids(keys []jobs.Key) string {
	all := make([]string, len(keys))
	for i, key := range keys {
		all[i] = key.ID
	}
	return strings.Join(all, " ")
}

func TestAKeyIsFoundAsItWasCreated(t *testing.T) {
	t.Parallel()
	store := NewStore(redistest.Open(t))
	secret, key := create(t, store, acme)
	if !IsKey(secret) || !isKeyID(key.ID) {
		t.Errorf("key %q, id %q", secret, key.ID)
	}
	found, now, err := store.find(t.Context(), Hash(secret))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(key, found); diff != "" {
		t.Error(diff)
	}
	want := jobs.Key{
		ID: key.ID, Tenant: acme.Tenant, Name: acme.Name, Scopes: acme.Scopes, Limits: acme.Limits,
		State: jobs.KeyActive, CreatedAt: key.CreatedAt, ExpiresAt: key.CreatedAt.Add(time.Hour),
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
	if age := now.Sub(key.CreatedAt); age < 0 || age > time.Minute {
		t.Errorf("created at %s, now %s", key.CreatedAt, now)
	}
	if other, _, err := store.find(t.Context(), Hash(NewKey())); err != nil || other.ID != "" {
		t.Errorf("an unknown key: %+v, %v", other, err)
	}
}

func TestListsAreOfOneTenantOrOfAll(t *testing.T) {
	t.Parallel()
	store := NewStore(redistest.Open(t))
	_, a := create(t, store, acme)
	_, b := create(t, store, jobs.KeySpec{Tenant: "bee", Scopes: []jobs.Scope{jobs.ScopeRead}})
	_, o := create(t, store, jobs.KeySpec{Tenant: jobs.Operator, Scopes: jobs.Scopes()})
	_, a2 := create(t, store, acme)
	for tenant, want := range map[jobs.Tenant]string{
		"acme": a.ID + " " + a2.ID, "bee": b.ID, "none": "",
		"": a.ID + " " + a2.ID + " " + b.ID + " " + o.ID,
	} {
		keys, err := store.List(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		// Keys of the same millisecond are ordered by id.
		got := ids(keys)
		if swapped := strings.Replace(want, a.ID+" "+a2.ID, a2.ID+" "+a.ID, 1); got != want && got != swapped {
			t.Errorf("%q: %s, want %s", tenant, got, want)
		}
	}
}

func TestRevokedKeysAreListedForAWhile(t *testing.T) {
	t.Parallel()
	store := NewStore(redistest.Open(t))
	secret, key := create(t, store, acme)
	for range 2 { // the second changes nothing
		revoked, err := store.Revoke(t.Context(), strings.ToUpper(key.ID))
		if err != nil || revoked.State != jobs.KeyRevoked || revoked.RevokedAt.IsZero() {
			t.Fatalf("%+v, %v", revoked, err)
		}
		key.State, key.RevokedAt = jobs.KeyRevoked, revoked.RevokedAt
	}
	listed, err := store.List(t.Context(), "acme")
	if diff := cmp.Diff([]jobs.Key{key}, listed); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, id := range []string{"k_aaaaaaaaaa", "x", "", key.ID + "a"} {
		_, err := store.Revoke(t.Context(), id)
		wantCode(t, err, jobs.CodeNotFound)
	}
	_, _, err = store.Rotate(t.Context(), key.ID, time.Hour)
	wantCode(t, err, jobs.CodeInvalidRequest)

	// Nothing is left of a key whose time in the list is over.
	if err := store.client.ZAdd(t.Context(), forgetKey, redisZ(1, key.ID)).Err(); err != nil {
		t.Fatal(err)
	}
	if listed, err := store.List(t.Context(), ""); err != nil || len(listed) != 0 {
		t.Errorf("%v, %v", listed, err)
	}
	if left, err := store.client.Keys(t.Context(), "*").Result(); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
	if found, _, err := store.find(t.Context(), Hash(secret)); err != nil || found.ID != "" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	store := NewStore(redistest.Open(t))
	for _, grace := range []time.Duration{0, time.Minute, 24 * time.Hour} {
		oldSecret, old := create(t, store, acme)
		secret, key, err := store.Rotate(t.Context(), old.ID, grace)
		if err != nil {
			t.Fatal(err)
		}
		want := old
		want.ID, want.CreatedAt, want.ExpiresAt = key.ID, key.CreatedAt, key.CreatedAt.Add(acme.Lifetime)
		if diff := cmp.Diff(want, key); diff != "" || key.ID == old.ID || secret == oldSecret {
			t.Errorf("%s: %s", grace, diff)
		}
		replaced, _, err := store.find(t.Context(), Hash(oldSecret))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case grace == 0 && replaced.State != jobs.KeyRevoked,
			grace > 0 && replaced.State != jobs.KeyActive,
			// It never ends later than it would have.
			grace > 0 && !replaced.ExpiresAt.Equal(key.CreatedAt.Add(min(grace, time.Hour))) &&
				!replaced.ExpiresAt.Equal(old.ExpiresAt):
			t.Errorf("%s: the old key is %+v", grace, replaced)
		}
		if found, _, err := store.find(t.Context(), Hash(secret)); err != nil || found.State != jobs.KeyActive {
			t.Errorf("%s: the new key is %+v, %v", grace, found, err)
		}
	}
	_, _, err := store.Rotate(t.Context(), "k_aaaaaaaaaa", 0)
	wantCode(t, err, jobs.CodeNotFound)
}

// repeatScripts sends each script twice, as the client does when the first reply is lost.
type repeatScripts struct{}

func (repeatScripts) DialHook(next redis.DialHook) redis.DialHook { return next }

func (repeatScripts) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (repeatScripts) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if err := next(ctx, command); err != nil || !strings.HasPrefix(command.Name(), "eval") {
			return err
		}
		return next(ctx, command)
	}
}

func TestARepeatedScriptCreatesOneKey(t *testing.T) {
	t.Parallel()
	client := redistest.Open(t)
	client.AddHook(repeatScripts{})
	store := NewStore(client)
	_, old := create(t, store, acme)
	for _, grace := range []time.Duration{time.Hour, 0} {
		secret, key, err := store.Rotate(t.Context(), old.ID, grace)
		if err != nil {
			t.Fatal(err)
		}
		if found, _, err := store.find(t.Context(), Hash(secret)); err != nil || found.State != jobs.KeyActive {
			t.Errorf("%s: the new key is %+v, %v", grace, found, err)
		}
		old = key
	}
	if keys, err := store.List(t.Context(), ""); err != nil || len(keys) != 3 {
		t.Errorf("%s, %v", ids(keys), err)
	}
}

func TestKeysOfCustomersReachOnlyTheirOwn(t *testing.T) {
	t.Parallel()
	store := NewStore(redistest.Open(t))
	for _, scope := range []jobs.Scope{jobs.ScopeAdmin, jobs.ScopeMetrics} {
		_, _, err := store.Create(t.Context(), jobs.KeySpec{Tenant: "acme", Scopes: []jobs.Scope{scope}})
		wantCode(t, err, jobs.CodeInvalidRequest)
		create(t, store, jobs.KeySpec{Tenant: jobs.Operator, Scopes: []jobs.Scope{scope}})
	}
}

func TestWithoutRedisAllIsUnavailable(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	store := NewStore(redistest.Client(t, server.URL()))
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, _, err := store.Create(ctx, acme)
	wantCode(t, err, jobs.CodeUnavailable)
	_, err = store.List(ctx, "")
	wantCode(t, err, jobs.CodeUnavailable)
	_, err = store.Revoke(ctx, "k_aaaaaaaaaa")
	wantCode(t, err, jobs.CodeUnavailable)
	_, _, err = store.Rotate(ctx, "k_aaaaaaaaaa", 0)
	wantCode(t, err, jobs.CodeUnavailable)
	_, valid, err := NewVerifier(store, nil).Verify(ctx, NewKey())
	wantCode(t, err, jobs.CodeUnavailable)
	if valid {
		t.Error("a key was valid without Redis")
	}
}

func TestADamagedRecordIsNoKey(t *testing.T) {
	t.Parallel()
	store := NewStore(redistest.Open(t))
	for field, value := range map[string]string{"limits": `{"weight":0}`, "tenant": "", "expires": "", "revoked": ""} {
		secret, _ := create(t, store, acme)
		if err := store.client.HSet(t.Context(), recordPrefix+Hash(secret).String(), field, value).Err(); err != nil {
			t.Fatal(err)
		}
		_, valid, err := NewVerifier(store, nil).Verify(t.Context(), secret)
		if valid || err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %t, %v", field, valid, err)
		}
	}
}
