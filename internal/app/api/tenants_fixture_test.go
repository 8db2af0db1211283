package api

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/files"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
	"cellblock/internal/tenantkeys"
)

// secretText is in all that the owner's scripts, files and names contain. No other tenant may ever read it.
const secretText = "only-for-acme"

// tenantsFixture is an API with two tenants, of which acme owns jobs, a batch and a file, and beta owns nothing.
type tenantsFixture struct {
	*running

	client  redis.UniversalClient
	records *store.Store
	keys    map[jobs.Tenant]string
	// queued, active and ended are jobs of acme in these states; the last one has left the file out.csv.
	queued, active, ended string
	batch, file           string
}

// ids are the values for the places {job}, {batch} and {file} of a request.
type ids struct{ job, batch, file string }

// newTenants starts the API without a worker, and makes what acme owns as its clients and a worker would.
func newTenants(t *testing.T) *tenantsFixture {
	t.Helper()
	url, folder := redistest.Start(t), "file://"+filepath.Join(t.TempDir(), "files")
	f := &tenantsFixture{
		client: redistest.Client(t, url), keys: map[jobs.Tenant]string{jobs.Operator: "the-operators"},
	}
	f.records = store.New(f.client, store.DefaultSettings())
	f.running = start(t, url, func(s *Settings) {
		s.HTTP.Token, s.HTTP.MCP, s.Files.URL = f.keys[jobs.Operator], true, folder
		s.StoredFiles.TTL, s.StoredFiles.TotalMB = time.Hour, 64
	})
	for _, tenant := range []jobs.Tenant{"acme", "beta"} {
		secret, _, err := tenantkeys.NewStore(f.client).Create(t.Context(), jobs.KeySpec{
			Tenant: tenant, Scopes: []jobs.Scope{jobs.ScopeRun, jobs.ScopeRead, jobs.ScopeCancel},
		})
		if err != nil {
			t.Fatal(err)
		}
		f.keys[tenant] = secret
	}
	submit := func() string {
		return f.accepted(t, "acme", request{
			method: "POST", path: "/execute", body: `{"script":"# ` + secretText + `\ndef main(): pass","async":true}`,
		})
	}
	f.queued, f.active, f.ended = submit(), submit(), submit()
	f.batch = f.accepted(t, "acme", request{
		method: "POST", path: "/batches", body: `{"script":"# ` + secretText + `\ndef main(): pass"}` + "\n",
		headers: []string{"Content-Type", "application/x-ndjson", "Idempotency-Key", "shared"},
	})
	f.file = f.accepted(t, "acme", request{
		method: "POST", path: "/files?name=" + secretText + ".csv", body: secretText,
		headers: []string{"Content-Type", "text/csv"},
	})
	f.work(t, folder)
	return f
}

// work does what a worker would: it begins one job and ends another.
func (f *tenantsFixture) work(t *testing.T, folder string) {
	t.Helper()
	ctx, stored := t.Context(), files.New(files.Settings{URL: folder})
	outputs := []jobs.OutputFile{{
		Name: "out.csv", Size: int64(len(secretText)), MediaType: "text/csv", Content: []byte(secretText),
	}}
	_, claimErr := f.records.ClaimStart(ctx, f.active, "token", "worker", time.Hour)
	printed := []jobs.OutputChunk{{Stream: jobs.Stdout, Text: secretText}}
	err := errors.Join(claimErr,
		f.records.Heartbeat(ctx, "worker", time.Hour, store.Offer{}, f.active),
		f.records.AppendOutput(ctx, f.active, printed, time.Hour),
		stored.Put(ctx, f.ended, outputs, time.Hour), stored.Close())
	if err != nil {
		t.Fatal(err)
	}
	outputs[0].Content = nil
	outcome := jobs.Outcome{Result: []byte(`"` + secretText + `"`), Stdout: secretText, Files: outputs}
	if _, err := f.records.End(ctx, f.ended, outcome); err != nil {
		t.Fatal(err)
	}
}

// request is a request with places for ids.
type request struct {
	method, path, body string
	// headers are names and values. The default of the Content-Type is application/json.
	headers []string
	// status is that of the answer to another tenant; 0 is 404.
	status int
}

// answer is a response without what differs between any two.
type answer struct {
	status  int
	headers string
	body    string
}

func (r request) with(ids ids) request {
	places := strings.NewReplacer("{job}", ids.job, "{batch}", ids.batch, "{file}", ids.file)
	r.path, r.body, r.headers = places.Replace(r.path), places.Replace(r.body), slices.Clone(r.headers)
	return r
}

// send sends a request with the key of a tenant, "" for none.
func (f *tenantsFixture) send(t *testing.T, tenant jobs.Tenant, r request) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), r.method, f.url+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Request-Id", "r")
	if tenant != "" {
		request.Header.Set("Authorization", "Bearer "+f.keys[tenant])
	}
	for i := 0; i < len(r.headers); i += 2 {
		request.Header.Set(r.headers[i], r.headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	response.Header.Del("Date")
	var headers strings.Builder
	if err := response.Header.Write(&headers); err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, headers.String(), string(body)}
}

var (
	anyID   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|f_[a-z2-7]{26}`)
	anyTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)
)

// withoutIDs returns the answer with all ids and times replaced: what is left must be the same for all ids.
func (a answer) withoutIDs() answer {
	replace := func(text string) string { return anyTime.ReplaceAllString(anyID.ReplaceAllString(text, "ID"), "TIME") }
	return answer{a.status, replace(a.headers), replace(a.body)}
}

// accepted sends a request that makes something, and returns its id.
func (f *tenantsFixture) accepted(t *testing.T, tenant jobs.Tenant, r request) string {
	t.Helper()
	got := f.send(t, tenant, r)
	id := anyID.FindString(got.body)
	if got.status != http.StatusAccepted && got.status != http.StatusCreated || id == "" {
		t.Fatalf("%s: %d %s", r.path, got.status, got.body)
	}
	return id
}

// foreign returns the ids of what acme owns, once for each job.
func (f *tenantsFixture) foreign() []ids {
	return []ids{
		{f.queued, f.batch, f.file}, {f.active, f.batch, f.file}, {f.ended, f.batch, f.file},
	}
}

// unknown returns ids of nothing.
func unknown() ids { return ids{jobs.NewID(), jobs.NewID(), jobs.NewFileID()} }

// leaks reports whether an answer to another tenant has something of acme's, beside the ids of its own request.
func (f *tenantsFixture) leaks(r request, got answer) bool {
	text := got.headers + got.body
	if strings.Contains(text, secretText) {
		return true
	}
	return slices.ContainsFunc([]string{f.queued, f.active, f.ended, f.batch, f.file}, func(id string) bool {
		return strings.Contains(text, id) && !strings.Contains(r.path+r.body, id)
	})
}

// owned returns all that acme reads, and all that Redis has of it.
func (f *tenantsFixture) owned(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	paths := []string{
		"/jobs", "/batches/" + f.batch, "/batches/" + f.batch + "/results?follow=false", "/files/" + f.file,
	}
	for _, ids := range f.foreign() {
		paths = append(paths, "/jobs/"+ids.job)
	}
	for _, path := range append(paths, "/jobs/"+f.ended+"/files/out.csv") {
		got := f.send(t, "acme", request{method: "GET", path: path})
		if got.status != http.StatusOK {
			t.Errorf("its owner reads %s: %d %s", path, got.status, got.body)
		}
		all[path] = got.headers + got.body
	}
	for _, key := range f.client.Keys(t.Context(), "*").Val() {
		isTheirs := func(id string) bool { return strings.Contains(key, "{"+id+"}") || strings.HasSuffix(key, ":"+id) }
		if slices.ContainsFunc([]string{f.queued, f.active, f.ended, f.batch, f.file, "acme"}, isTheirs) {
			all[key] = f.client.Dump(t.Context(), key).Val()
		}
	}
	return all
}

// wantUnchanged compares what acme owns with what it owned before.
func (f *tenantsFixture) wantUnchanged(t *testing.T, before map[string]string) {
	t.Helper()
	after := f.owned(t)
	for name := range maps.Keys(before) {
		if before[name] != after[name] {
			t.Errorf("another tenant has changed %s: %q was %q", name, after[name], before[name])
		}
	}
	if len(after) != len(before) {
		t.Errorf("there were %d keys and answers, and there are %d", len(before), len(after))
	}
}
