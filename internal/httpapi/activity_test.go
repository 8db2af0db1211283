package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cellblock/internal/jobs"
)

// stubActivity is an Activity that notes the tenant. It has an hour of which only the last minutes have ends, and two
// workers, of which the second has reported little.
type stubActivity struct{ tenant *jobs.Tenant }

func (s stubActivity) Activity(_ context.Context, tenant jobs.Tenant) (jobs.Activity, error) {
	*s.tenant = tenant
	if tenant == "other" {
		return jobs.Activity{}, jobs.Errorf(jobs.CodeNotFound, "there is no such tenant")
	}
	activity := jobs.Activity{At: created, Queued: 12, Running: 4, Minutes: make([]jobs.ActivityMinute, 60)}
	for i := range activity.Minutes {
		activity.Minutes[i].At = created.Truncate(time.Minute).Add(time.Duration(i-59) * time.Minute)
		activity.Minutes[i].Jobs = map[string]int64{}
	}
	activity.Minutes[58].Jobs = map[string]int64{"ok": 177, "timeout": 1}
	activity.Minutes[59].Jobs = map[string]int64{"ok": 3}
	if tenant != "idle" {
		activity.OldestWait = new(3250 * time.Millisecond)
	}
	return activity, nil
}

func (stubActivity) ListWorkers(context.Context) ([]jobs.WorkerStatus, error) {
	return []jobs.WorkerStatus{
		{
			ID: "node-1/a", Host: "node-1", Version: "v1", StartedAt: created, LastSeenAt: created, Places: 2, Busy: 1,
			Environments: []jobs.WorkerEnvironment{{Name: "default", Hash: strings.Repeat("a", 64), Ready: new(0)}},
		},
		{
			ID: "node-2/b", Host: "node-2", LastSeenAt: created, Draining: true,
			Environments: []jobs.WorkerEnvironment{{Name: "default"}},
		},
	}, nil
}

func TestActivity(t *testing.T) {
	t.Parallel()
	var tenant jobs.Tenant
	h := newHandler(t, stubJobs{})
	h.activity = stubActivity{&tenant}
	url := serve(t, h) + "/activity"
	got := send(t, http.MethodGet, url+"?tenant=acme", "")
	loadContract(t).check(t, http.MethodGet, url, "", got, true)
	wantResponse(t, got, http.StatusOK, "")
	if tenant != "acme" {
		t.Errorf("it asks for the tenant %q", tenant)
	}
	var minutes []string
	for i := range 58 {
		at := time.Date(2026, 1, 2, 1, 5+i, 0, 0, time.UTC)
		minutes = append(minutes, fmt.Sprintf(`{"at":%q,"jobs":{}}`, at.Format(time.RFC3339)))
	}
	minutes = append(minutes, `{"at":"2026-01-02T02:03:00Z","jobs":{"ok":177,"timeout":1}}`,
		`{"at":"2026-01-02T02:04:00Z","jobs":{"ok":3}}`)
	want := `{"at":"2026-01-02T02:04:05.678Z","queued":12,"oldest_wait_seconds":3.25,"running":4,"minutes":[` +
		strings.Join(minutes, ",") + `],"totals":{"ok":180,"timeout":1}}`
	if diff := cmp.Diff(decode(t, want), decode(t, got.body)); diff != "" {
		t.Error(diff)
	}
	idle := send(t, http.MethodGet, url+"?tenant=idle", "")
	loadContract(t).check(t, http.MethodGet, url, "", idle, true)
	if !strings.Contains(idle.body, `"oldest_wait_seconds":null`) {
		t.Errorf("without a queued job: %s", idle.body)
	}
	if send(t, http.MethodGet, url, ""); tenant != "" {
		t.Errorf("by default it asks for the tenant %q", tenant)
	}
	for parameters, code := range map[string]jobs.Code{
		"?tenant=A": jobs.CodeInvalidRequest, "?tenant=": jobs.CodeInvalidRequest, "?tenant=other": jobs.CodeNotFound,
		"?from=2026-01-01": jobs.CodeInvalidRequest,
	} {
		refused := send(t, http.MethodGet, url+parameters, "")
		wantResponse(t, refused, statusOf(code), code)
		loadContract(t).check(t, http.MethodGet, url, "", refused, true)
	}
}

func TestListWorkers(t *testing.T) {
	t.Parallel()
	h := newHandler(t, stubJobs{})
	h.activity = stubActivity{new(jobs.Tenant)}
	url := serve(t, h) + "/workers"
	got := send(t, http.MethodGet, url, "")
	loadContract(t).check(t, http.MethodGet, url, "", got, true)
	wantResponse(t, got, http.StatusOK, "")
	want := `{"workers":[` +
		`{"worker_id":"node-1/a","host":"node-1","version":"v1","started_at":"2026-01-02T02:04:05.678Z",` +
		`"last_seen_at":"2026-01-02T02:04:05.678Z","status":"active","places":2,"busy":1,` +
		`"environments":[{"name":"default","ready":0,"hash":"` + strings.Repeat("a", 64) + `"}]},` +
		`{"worker_id":"node-2/b","host":"node-2","version":null,"started_at":null,` +
		`"last_seen_at":"2026-01-02T02:04:05.678Z","status":"draining","places":null,"busy":0,` +
		`"environments":[{"name":"default","ready":null,"hash":""}]}]}`
	if diff := cmp.Diff(decode(t, want), decode(t, got.body)); diff != "" {
		t.Error(diff)
	}
	refused := send(t, http.MethodGet, url+"?host=node-1", "")
	wantResponse(t, refused, http.StatusBadRequest, jobs.CodeInvalidRequest)
	loadContract(t).check(t, http.MethodGet, url, "", refused, true)
}

func TestLimitsOfAJob(t *testing.T) {
	t.Parallel()
	limits := jobs.RequestedLimits{
		Wall: 1500 * time.Millisecond, CPU: time.Second, MemoryBytes: 96 << 19, Processes: 8, OutputBytes: 100,
	}
	const shown = `"limits":{"wall_seconds":1.5,"cpu_seconds":1,"memory_mb":48,"processes":8,"output_bytes":100}`
	partly := limits
	partly.CPU = 0
	for name, tc := range map[string]struct {
		limits jobs.RequestedLimits
		want   string
	}{"all": {limits, shown}, "none": {}, "not all": {partly, ""}} {
		for _, record := range []jobs.Record{
			succeeded("1"),
			{ID: jobID, State: jobs.StateQueued, CreatedAt: created},
			failed(jobs.Failure{Code: jobs.CodeTimeout, Message: "x"}),
		} {
			record.Limits = tc.limits
			url := serve(t, newHandler(t, stubGet(record, nil)))
			got := send(t, http.MethodGet, url+"/jobs/"+jobID, "")
			loadContract(t).check(t, http.MethodGet, url+"/jobs/"+jobID, "", got, true)
			if strings.Contains(got.body, `"limits"`) != (tc.want != "") || !strings.Contains(got.body, tc.want) {
				t.Errorf("%s, %s: %s", name, record.State, got.body)
			}
		}
	}
}
