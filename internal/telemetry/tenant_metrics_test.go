package telemetry

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestOnlyNamedTenantsHaveMetrics(t *testing.T) {
	t.Parallel()
	m := NewAPIMetrics(nil, nil)
	m.CountTenants(TenantSettings{Tenants: []string{"acme", "beta"}})
	m.ObserveEnded("acme", "ok", 3)
	m.ObserveEnded("acme", "timeout", 1)
	for _, tenant := range []string{"acme", "customer-1", "customer-2", "operator", ""} {
		m.ObserveTenantRequest(tenant, 200)
	}
	m.ObserveEnded("customer-1", "ok", 2)
	m.ObserveEnded("operator", "ok", 5)
	want := []string{
		`cellblock_tenant_jobs_total{outcome="ok",tenant="acme"} 3`,
		`cellblock_tenant_jobs_total{outcome="ok",tenant="beta"} 0`,
		`cellblock_tenant_jobs_total{outcome="ok",tenant="other"} 7`,
		`cellblock_tenant_jobs_total{outcome="timeout",tenant="acme"} 1`,
		`cellblock_tenant_requests_total{code="200",tenant="acme"} 1`,
		`cellblock_tenant_requests_total{code="200",tenant="other"} 3`,
	}
	if got := tenantSeries(t, m); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// tenantSeries returns the series of tenants in a scrape.
func tenantSeries(t *testing.T, m *APIMetrics) (series []string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(recorder.Body.String()) {
		if strings.HasPrefix(line, "cellblock_tenant_") {
			series = append(series, strings.TrimSpace(line))
		}
	}
	return series
}

func TestWithoutTenantsThereAreNoSuchMetrics(t *testing.T) {
	t.Parallel()
	m := NewAPIMetrics(nil, nil)
	m.CountTenants(TenantSettings{})
	m.ObserveEnded("acme", "ok", 3)
	m.ObserveTenantRequest("acme", 200)
	if series := tenantSeries(t, m); len(series) != 0 {
		t.Errorf("%q", series)
	}
}

func TestTenantSettings(t *testing.T) {
	t.Parallel()
	many := strings.Split(strings.Repeat("a,", maxTenants)+"a", ",")
	for _, names := range [][]string{{"*"}, {"acme", "*"}, {"other"}, {"A"}, {""}, many} {
		err := TenantSettings{Tenants: names}.Validate()
		if err == nil || !strings.Contains(err.Error(), "METRICS_TENANTS") {
			t.Errorf("%.40v: %v", names, err)
		}
	}
	for _, names := range [][]string{nil, {"acme", "operator"}, many[1:]} {
		if err := (TenantSettings{Tenants: names}).Validate(); err != nil {
			t.Error(err)
		}
	}
}
