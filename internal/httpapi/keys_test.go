package httpapi

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"cellblock/internal/jobs"
	"cellblock/internal/telemetry"
)

const (
	aKey   = "cb_key-that-is-valid-0000000000000000000000000"
	aKeyID = "k_7mzq3xw2pa"
)

// stubKeys has one key, aKey. With err, it cannot be asked.
type stubKeys struct {
	scopes []jobs.Scope
	tenant jobs.Tenant
	err    error
}

func (s stubKeys) Verify(_ context.Context, key string) (jobs.Caller, bool, error) {
	if key != aKey || s.err != nil {
		return jobs.Caller{}, false, s.err
	}
	return jobs.Caller{Tenant: "acme", KeyID: aKeyID, Scopes: s.scopes}, true, nil
}

func (s stubKeys) key(state jobs.KeyState) jobs.Key {
	return jobs.Key{
		ID: aKeyID, Tenant: "acme", Name: "n", Scopes: []jobs.Scope{jobs.ScopeRun}, State: state, CreatedAt: created,
		ExpiresAt: created.Add(time.Hour), Limits: jobs.TenantLimits{
			Weight: 2, RequestsPerSecond: 0.5, Burst: 3, OpenJobs: 4, RunningJobs: 5, CPUPerDay: time.Hour,
			Largest: jobs.RequestedLimits{Wall: time.Second, MemoryBytes: 64 << 20}, Environments: []string{"default"},
		},
	}
}

func (s stubKeys) Create(_ context.Context, spec jobs.KeySpec) (string, jobs.Key, error) {
	return aKey, s.key(jobs.KeyActive), s.err
}

func (s stubKeys) List(_ context.Context, tenant jobs.Tenant) ([]jobs.Key, error) {
	return []jobs.Key{s.key(jobs.KeyActive), s.key(jobs.KeyRevoked)}, s.err
}

func (s stubKeys) Revoke(_ context.Context, id string) (jobs.Key, error) {
	if id != aKeyID {
		return jobs.Key{}, jobs.NotFound("key")
	}
	return s.key(jobs.KeyRevoked), s.err
}

func (s stubKeys) Rotate(_ context.Context, id string, grace time.Duration) (string, jobs.Key, error) {
	if id != aKeyID {
		return "", jobs.Key{}, jobs.NotFound("key")
	}
	return aKey, s.key(jobs.KeyActive), s.err
}

// newKeyHandler returns a handler whose requests need API_TOKEN, "secret", or the key.
func newKeyHandler(t *testing.T, keys stubKeys) *Handler {
	t.Helper()
	logger := testLogger(t)
	h := New(stubJobs{}, Config{
		Settings: Settings{Token: "secret"}, Keys: keys, SyncWait: time.Second, Limits: jobs.DefaultLimits(),
		StartDeadline: time.Hour, Environments: stubEnvironments{}, Metrics: telemetry.NewAPIMetrics(nil, logger),
		Logger: logger, MCP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }),
	})
	t.Cleanup(h.Drain)
	return h
}

func bearer(key string) []string { return []string{"Authorization", "Bearer " + key} }

// TestEachOperationHasAScope walks the contract, and the doors that are not in it.
func TestEachOperationHasAScope(t *testing.T) {
	t.Parallel()
	known := map[string]bool{
		"POST /mcp": true, "POST " + sandboxFusionPath + "run_code": true, "GET /jobs/{id}/files/*": true,
	}
	for path, item := range loadContract(t).doc.Paths.Map() {
		for method, operation := range item.Operations() {
			name := method + " " + path
			known[name] = true
			open := operation.Security != nil && len(*operation.Security) == 0
			if _, ok := operationScopes[name]; ok == open {
				t.Errorf("%s has a scope: %t, and needs no token: %t", name, ok, open)
			}
		}
	}
	for name := range operationScopes {
		if !known[name] {
			t.Errorf("%s has a scope, and is no operation", name)
		}
	}
}

// TestScopes sends each operation with a key of each scope: the operation's own suffices, and so does admin.
func TestScopes(t *testing.T) {
	t.Parallel()
	for _, scope := range append(jobs.Scopes(), "none") {
		url := serve(t, newKeyHandler(t, stubKeys{scopes: []jobs.Scope{scope}}))
		for operation, needed := range operationScopes {
			method, route, _ := strings.Cut(operation, " ")
			path := strings.NewReplacer("{id}", "x", "{file_id}", "x", "{key_id}", "x", "{path}", "a", "*", "a/b").
				Replace(route)
			methods := []string{method}
			if method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
			for _, method := range methods {
				got := send(t, method, url+path, "", bearer(aKey)...)
				allowed := scope == jobs.ScopeAdmin || slices.Contains(needed, scope)
				if (got.status == http.StatusForbidden) == allowed {
					t.Errorf("%s %s with the scope %s: %d %s", method, path, scope, got.status, got.body)
				}
				if !allowed && method != http.MethodHead && !strings.Contains(got.body, `\"`+string(needed[0])+`\"`) {
					t.Errorf("%s %s: the scope is not named: %s", method, path, got.body)
				}
			}
		}
	}
}

// TestAForbiddenOperationDoesNothing sends each operation with a key that may not use it, and checks the response.
func TestAForbiddenOperationDoesNothing(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	url := serve(t, newKeyHandler(t, stubKeys{scopes: []jobs.Scope{jobs.ScopeMetrics}}))
	for operation := range operationScopes {
		method, route, _ := strings.Cut(operation, " ")
		path := strings.NewReplacer("{id}", jobID, "{file_id}", "x", "{key_id}", aKeyID, "{path}", "a", "*", "a/b").
			Replace(route)
		if route == "/metrics" {
			continue
		}
		got := send(t, method, url+path, "{}", append(bearer(aKey), "Content-Type", "application/json")...)
		if strings.HasPrefix(route, sandboxFusionPath) {
			if got.status != http.StatusForbidden {
				t.Errorf("%s: %d %s", operation, got.status, got.body)
			}
			continue
		}
		wantResponse(t, got, http.StatusForbidden, jobs.CodeForbidden)
		if method == http.MethodGet && !strings.Contains(route, "*") {
			c.check(t, method, url+path, "", got, true)
		}
	}
}

// TestARouteWithoutAScopeNeedsAdmin serves a route that is not in the table.
func TestARouteWithoutAScopeNeedsAdmin(t *testing.T) {
	t.Parallel()
	for scope, status := range map[jobs.Scope]int{jobs.ScopeRead: 403, jobs.ScopeAdmin: 200} {
		h := newKeyHandler(t, stubKeys{scopes: []jobs.Scope{scope}})
		router := chi.NewRouter()
		router.Use(h.trackRequest, h.authenticate)
		router.With(h.requireScope).Get("/new", func(w http.ResponseWriter, _ *http.Request) {})
		h.router = router
		if got := send(t, http.MethodGet, serve(t, h)+"/new", "", bearer(aKey)...); got.status != status {
			t.Errorf("with the scope %s: %d %s", scope, got.status, got.body)
		}
	}
}

// TestWrongKeysAreRefusedAlike: nothing distinguishes a key that has ended from one that never was.
func TestWrongKeysAreRefusedAlike(t *testing.T) {
	t.Parallel()
	url := serve(t, newKeyHandler(t, stubKeys{}))
	first := send(t, http.MethodGet, url+"/jobs", "")
	wantResponse(t, first, http.StatusUnauthorized, jobs.CodeUnauthorized)
	for _, key := range []string{"", "x", aKey + "x", "cb_" + strings.Repeat("0", 43), "secret2"} {
		got := send(t, http.MethodGet, url+"/jobs", "", bearer(key)...)
		if got.status != first.status || got.body != first.body ||
			got.header.Get("WWW-Authenticate") != first.header.Get("WWW-Authenticate") {
			t.Errorf("%q: %d %s", key, got.status, got.body)
		}
	}
}

// TestWithoutRedisAKeyIsUnavailable: neither 401, for which a client would throw its key away, nor let in. API_TOKEN
// needs no Redis.
func TestWithoutRedisAKeyIsUnavailable(t *testing.T) {
	t.Parallel()
	url := serve(t, newKeyHandler(t, stubKeys{err: jobs.Unavailable("Redis cannot be reached", nil)}))
	got := send(t, http.MethodGet, url+"/jobs", "", bearer(aKey)...)
	wantResponse(t, got, http.StatusServiceUnavailable, jobs.CodeUnavailable)
	if got.header.Get("WWW-Authenticate") != "" {
		t.Error("the client is asked for another key")
	}
	wantResponse(t, send(t, http.MethodGet, url+"/jobs", "", bearer("secret")...), http.StatusOK, "")
	wantResponse(t, send(t, http.MethodGet, url+"/jobs", ""), http.StatusUnauthorized, jobs.CodeUnauthorized)
}

// TestAKeyIsThePasswordOfSandboxFusion, and of nothing else.
func TestAKeyIsThePasswordOfSandboxFusion(t *testing.T) {
	t.Parallel()
	url := serve(t, newKeyHandler(t, stubKeys{scopes: []jobs.Scope{jobs.ScopeRun}}))
	for path, want := range map[string]bool{sandboxFusionPath + "run_code": true, "/execute": false} {
		request := newRequest(t.Context(), t, http.MethodPost, url+path, strings.NewReader(`{"code":"1"}`),
			"Content-Type", "application/json")
		request.SetBasicAuth("any", aKey)
		if got := do(t, request); (got.status != http.StatusUnauthorized) != want {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

func TestTheCallerIsInTheContext(t *testing.T) {
	t.Parallel()
	callers := map[string]jobs.Caller{}
	service := stubJobs{list: func(ctx context.Context, _ jobs.ListQuery) (jobs.Page, error) {
		caller := jobs.CallerOf(ctx)
		callers[caller.KeyID] = caller
		return jobs.Page{}, nil
	}}
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	h := New(service, Config{
		Settings: Settings{Token: "secret"}, Keys: stubKeys{scopes: []jobs.Scope{jobs.ScopeRead}}, Logger: logger,
		Metrics: telemetry.NewAPIMetrics(nil, logger),
	})
	url := serve(t, h)
	send(t, http.MethodGet, url+"/jobs", "", bearer(aKey)...)
	send(t, http.MethodGet, url+"/jobs", "", bearer("secret")...)
	if got := callers[aKeyID]; got.Tenant != "acme" || !got.May(jobs.ScopeRead) || got.May(jobs.ScopeRun) {
		t.Errorf("with a key: %+v", got)
	}
	if got := callers[""]; got.Tenant != jobs.Operator || !got.May(jobs.ScopeAdmin) {
		t.Errorf("with API_TOKEN: %+v", got)
	}
	if !strings.Contains(log.String(), `"tenant":"acme","key_id":"`+aKeyID+`"`) || strings.Contains(log.String(), "cb_") {
		t.Error(log.String())
	}
}

func TestAdminKeepsTheContract(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	url := serve(t, newKeyHandler(t, stubKeys{}))
	away := serve(t, newKeyHandler(t, stubKeys{err: jobs.Unavailable("x", nil)}))
	open := serve(t, newHandler(t, stubJobs{}))
	const valid = `{"tenant":"acme","scopes":["run","read"],"name":"n","expires_in_seconds":7776000,` +
		`"limits":{"weight":2,"requests_per_second":0.5,"largest":{"wall_seconds":5},"environments":["default"]}}`
	for name, tc := range map[string]struct {
		url, method, path, body string
		status                  int
		code                    jobs.Code
		invalid                 bool // the document rejects the request too
	}{
		"list":               {url, "GET", "", "", 200, "", false},
		"list of one":        {url, "GET", "?tenant=acme", "", 200, "", false},
		"list of a bad name": {url, "GET", "?tenant=Acme", "", 400, jobs.CodeInvalidRequest, true},
		"list, no Redis":     {away, "GET", "", "", 503, jobs.CodeUnavailable, false},
		"create":             {url, "POST", "", valid, 201, "", false},
		"create, no Redis":   {away, "POST", "", valid, 503, jobs.CodeUnavailable, false},
		"create, no token":   {open, "POST", "", valid, 400, jobs.CodeInvalidRequest, false},
		"no tenant":          {url, "POST", "", `{"scopes":["run"]}`, 400, jobs.CodeInvalidRequest, true},
		"no scopes":          {url, "POST", "", `{"tenant":"a"}`, 400, jobs.CodeInvalidRequest, true},
		"empty scopes":       {url, "POST", "", `{"tenant":"a","scopes":[]}`, 400, jobs.CodeInvalidRequest, true},
		"a bad scope":        {url, "POST", "", `{"tenant":"a","scopes":["x"]}`, 400, jobs.CodeInvalidRequest, true},
		"a scope twice": {
			url, "POST", "", `{"tenant":"a","scopes":["run","run"]}`, 400, jobs.CodeInvalidRequest, true,
		},
		"a customer's admin": {
			url, "POST", "", `{"tenant":"a","scopes":["admin"]}`, 400, jobs.CodeInvalidRequest, false,
		},
		"an unknown limit": {
			url, "POST", "", `{"tenant":"a","scopes":["run"],"limits":{"x":1}}`, 400, jobs.CodeInvalidRequest, true,
		},
		"a limit of 0": {
			url, "POST", "", `{"tenant":"a","scopes":["run"],"limits":{"weight":0}}`, 400, jobs.CodeInvalidRequest, true,
		},
		"too large": {
			url, "POST", "", `{"tenant":"` + strings.Repeat("a", 65<<10) + `"}`, 413, jobs.CodeInputTooLarge, true,
		},
		"revoke":           {url, "DELETE", "/" + aKeyID, "", 200, "", false},
		"revoke nothing":   {url, "DELETE", "/x", "", 404, jobs.CodeNotFound, false},
		"rotate":           {url, "POST", "/" + aKeyID + "/rotate", `{"grace_seconds":0}`, 201, "", false},
		"rotate by itself": {url, "POST", "/" + aKeyID + "/rotate", "", 201, "", false},
		"rotate nothing":   {url, "POST", "/x/rotate", `{}`, 404, jobs.CodeNotFound, false},
		"a bad grace":      {url, "POST", "/" + aKeyID + "/rotate", `{"grace_seconds":-1}`, 400, jobs.CodeInvalidRequest, true},
		"an unknown grace": {url, "POST", "/" + aKeyID + "/rotate", `{"grace":1}`, 400, jobs.CodeInvalidRequest, true},
	} {
		t.Run(name, func(t *testing.T) {
			target := tc.url + "/admin/keys" + tc.path
			headers := bearer("secret")
			if tc.body != "" {
				headers = append(headers, "Content-Type", "application/json")
			}
			got := send(t, tc.method, target, tc.body, headers...)
			c.check(t, tc.method, target, tc.body, got, !tc.invalid, headers...)
			wantResponse(t, got, tc.status, tc.code)
			if strings.Contains(got.body, "cb_") != (tc.status == 201) {
				t.Errorf("a key: %s", got.body)
			}
		})
	}
}
