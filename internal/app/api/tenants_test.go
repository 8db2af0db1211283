package api

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	apitypes "cellblock/api"
	"cellblock/internal/jobs"
)

// ofOthers are requests of each operation of the contract, by another tenant than the one that owns what they name.
var ofOthers = map[string][]request{
	"getJob": {
		{method: "GET", path: "/jobs/{job}"},
		{method: "HEAD", path: "/jobs/{job}"},
		{method: "GET", path: "/jobs/{job}?wait=5"},
		{method: "GET", path: "/jobs/{job}?inline_files=true"},
	},
	"cancelJob":  {{method: "DELETE", path: "/jobs/{job}"}},
	"getJobFile": {{method: "GET", path: "/jobs/{job}/files/out.csv"}, {method: "HEAD", path: "/jobs/{job}/files/x/y"}},
	"watchJob": {
		{method: "GET", path: "/jobs/{job}/events"},
		{method: "HEAD", path: "/jobs/{job}/events"},
		{method: "GET", path: "/jobs/{job}/events", headers: []string{"Last-Event-ID", "3-12-0"}},
	},
	"getBatch":    {{method: "GET", path: "/batches/{batch}"}, {method: "GET", path: "/batches/{batch}?wait=5"}},
	"cancelBatch": {{method: "DELETE", path: "/batches/{batch}"}},
	"getBatchResults": {
		{method: "GET", path: "/batches/{batch}/results"},
		{method: "HEAD", path: "/batches/{batch}/results"},
		{method: "GET", path: "/batches/{batch}/results?follow=false&after=0"},
	},
	"getFile":    {{method: "GET", path: "/files/{file}"}, {method: "HEAD", path: "/files/{file}"}},
	"deleteFile": {{method: "DELETE", path: "/files/{file}"}},

	"execute": {
		{method: "POST", path: "/execute", body: `{"script":"x","files":[` + referredJob + `]}`, status: 400},
		{method: "POST", path: "/execute", body: `{"script":"x","files":[` + referredFile + `]}`, status: 400},
	},
	"createBatch": {{
		method: "POST", path: "/batches", status: 202, headers: []string{"Content-Type", "application/x-ndjson"},
		body: `{"script":"x","files":[` + referredJob + `]}` + "\n" + `{"script":"x","files":[` + referredFile + `]}`,
	}},
	"uploadFile": {{method: "POST", path: "/files", body: "x", status: 201}},
	"listJobs": {
		{method: "GET", path: "/jobs", status: 200},
		{method: "GET", path: "/jobs?cursor={job}", status: 200},
		{method: "GET", path: "/jobs?tenant=acme", status: 200},
		{method: "GET", path: "/jobs?status=queued", status: 200},
		{method: "GET", path: "/jobs?tenant=operator", status: 200},
	},

	"listEnvironments": {{method: "GET", path: "/environments", status: 200}},
	"getHealth":        {{method: "GET", path: "/healthz", status: 200}},
	"getReady":         {{method: "GET", path: "/readyz", status: 200}},

	"getMetrics": {{method: "GET", path: "/metrics", status: 403}},
	"listKeys":   {{method: "GET", path: "/admin/keys", status: 403}},
	"createKey": {{
		method: "POST", path: "/admin/keys", body: `{"tenant":"acme","scopes":["read"]}`, status: 403,
	}},
	"revokeKey":        {{method: "DELETE", path: "/admin/keys/x", status: 403}},
	"rotateKey":        {{method: "POST", path: "/admin/keys/x/rotate", body: `{}`, status: 403}},
	"getUsage":         {{method: "GET", path: "/usage?tenant=acme"}},
	"getActivity":      {{method: "GET", path: "/activity?tenant=acme"}},
	"listWorkers":      {{method: "GET", path: "/workers", status: 403}},
	"getWebhookSecret": {{method: "GET", path: "/admin/tenants/acme/webhook-secret", status: 403}},
}

const (
	referredJob  = `{"path":"a","job_id":"{job}","name":"out.csv"}`
	referredFile = `{"path":"a","file_id":"{file}"}`
)

// contractOperations returns the ids of the contract's operations.
func contractOperations(t *testing.T) (operations []string) {
	t.Helper()
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `yaml:"operationId"`
		}
	}
	if err := yaml.Unmarshal(apitypes.Document, &document); err != nil {
		t.Fatal(err)
	}
	for _, methods := range document.Paths {
		for _, operation := range methods {
			operations = append(operations, operation.OperationID)
		}
	}
	slices.Sort(operations)
	return operations
}

// compare sends a request of beta with ids of acme's and with unknown ones, and wants the same answer to all.
func (f *tenantsFixture) compare(t *testing.T, r request) {
	t.Helper()
	sent := r.with(unknown())
	want := f.send(t, "beta", sent)
	status := r.status
	if status == 0 {
		status = http.StatusNotFound
	}
	if want.status != status || f.leaks(sent, want) {
		t.Errorf("%s %s of unknown ids: %d %s", r.method, r.path, want.status, want.body)
	}
	for _, ids := range f.foreign() {
		sent := r.with(ids)
		got := f.send(t, "beta", sent)
		if got.withoutIDs() != want.withoutIDs() || f.leaks(sent, got) {
			t.Errorf("%s %s of ids of another tenant: %+v, of unknown ones: %+v", r.method, r.path, got, want)
		}
	}
}

// TestWhatBelongsToAnotherTenantDoesNotExist walks all operations of the contract. A new one needs an entry in
// ofOthers.
func TestWhatBelongsToAnotherTenantDoesNotExist(t *testing.T) {
	f := newTenants(t)
	stop := f.watch(t)
	before := f.owned(t)
	operations := contractOperations(t)
	if known := slices.Sorted(maps.Keys(ofOthers)); !slices.Equal(operations, known) {
		t.Errorf("the contract has the operations %v, and ofOthers %v", operations, known)
	}
	for _, operation := range operations {
		for _, r := range ofOthers[operation] {
			f.compare(t, r)
		}
	}
	if got := f.send(t, "beta", request{method: "GET", path: "/jobs"}); got.body != emptyList {
		t.Errorf("beta has the jobs %s", got.body)
	}
	f.wantUnchanged(t, before)
	stop()
	if err := f.end(t); err != nil {
		t.Error(err)
	}
}

const emptyList = `{"jobs":[],"next_cursor":null}` + "\n"

// watch lets acme watch its running job: watchers of a job share what one of them reads.
func (f *tenantsFixture) watch(t *testing.T) (stop func()) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+"/jobs/"+f.active+"/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+f.keys["acme"])
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r) //nolint:bodyclose // stop closes it
	if err != nil {
		t.Fatal(err)
	}
	read, text := make([]byte, 4096), ""
	for !strings.Contains(text, secretText) {
		n, err := response.Body.Read(read)
		if text += string(read[:n]); err != nil {
			t.Fatalf("%v after %q", err, text)
		}
	}
	return func() { _ = response.Body.Close() }
}

// TestTheOperatorSeesAllTenants: a token of all scopes reads and lists what belongs to any tenant.
func TestTheOperatorSeesAllTenants(t *testing.T) {
	f := newTenants(t)
	theirs := f.send(t, "acme", request{method: "GET", path: "/jobs"})
	all := f.send(t, jobs.Operator, request{method: "GET", path: "/jobs"})
	one := f.send(t, jobs.Operator, request{method: "GET", path: "/jobs?tenant=acme"})
	if all != theirs || one != theirs || strings.Count(all.body, `"tenant":"acme"`) != 4 {
		t.Errorf("the operator sees %s\nand of acme %s\nwhich sees %s", all.body, one.body, theirs.body)
	}
	for _, path := range []string{"/jobs/" + f.ended, "/batches/" + f.batch, "/files/" + f.file} {
		got := f.send(t, jobs.Operator, request{method: "GET", path: path})
		if want := f.send(t, "acme", request{method: "GET", path: path}); got != want || got.status != http.StatusOK {
			t.Errorf("the operator reads %+v, its owner %+v", got, want)
		}
	}
	if err := f.end(t); err != nil {
		t.Error(err)
	}
}

// TestIdempotencyKeysAreATenantsOwn: the same key and request of another tenant make other jobs.
func TestIdempotencyKeysAreATenantsOwn(t *testing.T) {
	f := newTenants(t)
	withKey := func(path, contentType, body string) request {
		return request{
			method: "POST", path: path, body: body,
			headers: []string{"Content-Type", contentType, "Idempotency-Key", "shared"},
		}
	}
	single := withKey("/execute", "application/json", `{"script":"def main(): pass","async":true}`)
	batch := withKey("/batches", "application/x-ndjson", `{"script":"# `+secretText+`\ndef main(): pass"}`+"\n")
	first := f.accepted(t, "acme", single)
	for _, tenant := range []jobs.Tenant{"beta", jobs.Operator} {
		if id := f.accepted(t, tenant, single); id == first {
			t.Errorf("%s got the job of acme", tenant)
		}
		if id := f.accepted(t, tenant, batch); id == f.batch {
			t.Errorf("%s got the batch of acme", tenant)
		}
	}
	if f.accepted(t, "acme", single) != first || f.accepted(t, "acme", batch) != f.batch {
		t.Error("acme got another job or batch than before")
	}
	if err := f.end(t); err != nil {
		t.Error(err)
	}
}
