package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
	"cellblock/internal/telemetry"
)

// TestEndedJobsAreCounted: the reaper of the API counts what ended while no API ran, in the usage and in the metrics.
func TestEndedJobsAreCounted(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	records := store.New(client, store.DefaultSettings())
	for tenant, n := range map[jobs.Tenant]int{"acme": 3, "beta": 2} {
		for range n {
			id := jobs.NewID()
			if err := records.Create(t.Context(), jobs.Job{ID: id, Tenant: tenant, Script: "x"}); err != nil {
				t.Fatal(err)
			}
			if _, err := records.End(t.Context(), id, jobs.Outcome{Result: []byte("1")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := start(t, url, func(s *Settings) { s.Metrics = telemetry.TenantSettings{Tenants: []string{"acme"}} })
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		answer := r.want(t, http.MethodGet, "/usage", "", 200, `"usage":[`)
		const totals = `"totals":{"jobs":{"ok":5},"cpu_seconds":0,"wall_seconds":0,"bytes_in":5,"bytes_out":5}`
		if strings.Contains(answer, totals) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(answer)
		}
	}
	const series = "cellblock_tenant_jobs_total{outcome=\"ok\",tenant="
	r.want(t, http.MethodGet, "/metrics", "", 200, series+"\"acme\"} 3\n"+series+"\"other\"} 2\n")
	r.want(t, http.MethodGet, "/metrics", "", 200, "cellblock_tenant_requests_total{code=\"200\",tenant=\"other\"}")
	r.want(t, http.MethodGet, "/usage?tenant=beta", "", 200, `"tenant":"beta"`)
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}
