package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

// stubRates returns the same for each request, and counts them.
type stubRates struct {
	quota jobs.RequestQuota
	err   error
	taken int
}

func (s *stubRates) Take(context.Context, jobs.Tenant, jobs.TenantLimits) (jobs.RequestQuota, error) {
	s.taken++
	return s.quota, s.err
}

// serveAs serves one request of a caller behind limitRequests; next answers it.
func serveAs(
	t *testing.T, rates Rates, caller jobs.Caller, path string,
	next func(h *Handler, w http.ResponseWriter, r *http.Request),
) *httptest.ResponseRecorder {
	t.Helper()
	h := newHandler(t, stubJobs{})
	h.rates = rates
	limited := h.limitRequests(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next(h, w, r) }))
	handler := h.trackRequest(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limited.ServeHTTP(w, r.WithContext(jobs.WithCaller(r.Context(), caller)))
	}))
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, http.NoBody))
	return recorder
}

func answerOK(_ *Handler, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }

func TestRequestsOfTenantsAreLimited(t *testing.T) {
	t.Parallel()
	limits := jobs.TenantLimits{RequestsPerSecond: 10, Burst: 25, CPUPerDay: time.Hour}
	acme := jobs.Caller{Tenant: "acme", Limits: limits}
	allowed := jobs.RequestQuota{Allowed: true, Left: 24, Next: 100 * time.Millisecond}
	refused := jobs.RequestQuota{Next: 1100 * time.Millisecond}
	both := `"requests";q=25;w=3, "cpu-day";q=3600;qu="cpu-seconds";w=86400`
	for _, c := range []struct {
		name, path              string
		caller                  jobs.Caller
		quota                   jobs.RequestQuota
		err                     error
		status, taken           int
		policy, limit, wantCode string
	}{
		{
			name: "allowed", path: "/execute", caller: acme, quota: allowed, status: 200, taken: 1,
			policy: both, limit: `"requests";r=24;t=1`,
		},
		{
			name: "refused", path: "/jobs", caller: acme, quota: refused, status: 429, taken: 1,
			policy: both, limit: `"requests";r=0;t=2`, wantCode: "rate_limited",
		},
		{
			name: "no answer of Redis", path: "/jobs", caller: acme, err: errors.New("none"), status: 200, taken: 1,
			policy: both,
		},
		{name: "a probe", path: "/healthz", caller: acme, quota: refused, status: 200},
		{
			name: "the operator", path: "/jobs", quota: refused, status: 200,
			caller: jobs.Caller{Tenant: jobs.Operator, Limits: limits},
		},
		{name: "without limits", path: "/jobs", caller: jobs.Caller{Tenant: "beta"}, quota: refused, status: 200},
		{
			name: "processor time only", path: "/jobs", quota: refused, status: 200,
			caller: jobs.Caller{
				Tenant: "beta", Limits: jobs.TenantLimits{CPUPerDay: time.Minute, RequestsPerSecond: -1},
			},
			policy: `"cpu-day";q=60;qu="cpu-seconds";w=86400`,
		},
		{
			name: "one request in ten seconds", path: "/jobs", quota: allowed, status: 200, taken: 1,
			caller: jobs.Caller{Tenant: "beta", Limits: jobs.TenantLimits{RequestsPerSecond: 0.1}},
			policy: `"requests";q=1;w=10`, limit: `"requests";r=24;t=1`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rates := &stubRates{quota: c.quota, err: c.err}
			got := serveAs(t, rates, c.caller, c.path, answerOK)
			policy := strings.Join(got.Header().Values("RateLimit-Policy"), ", ")
			limit := strings.Join(got.Header().Values("RateLimit"), ", ")
			if got.Code != c.status || rates.taken != c.taken || policy != c.policy || limit != c.limit {
				t.Errorf("status %d, counted %d, policy %s, limit %s", got.Code, rates.taken, policy, limit)
			}
			var body struct{ Code, Error string }
			if c.wantCode == "" {
				return
			}
			if err := json.Unmarshal(got.Body.Bytes(), &body); err != nil || body.Code != c.wantCode ||
				got.Header().Get("Retry-After") != "2" {
				t.Errorf("%v, Retry-After %s: %s", err, got.Header().Get("Retry-After"), got.Body)
			}
		})
	}
}

// SandboxFusion's clients repeat a call after 504 only.
func TestALimitedCallOfSandboxFusion(t *testing.T) {
	t.Parallel()
	caller := jobs.Caller{Tenant: "acme", Limits: jobs.TenantLimits{RequestsPerSecond: 1}}
	got := serveAs(t, &stubRates{quota: jobs.RequestQuota{Next: time.Second}}, caller,
		sandboxFusionPath+"run_code", answerOK)
	if got.Code != http.StatusGatewayTimeout || got.Header().Get("Retry-After") != "1" ||
		!strings.Contains(got.Body.String(), `"status":"SandboxError"`) {
		t.Errorf("%d %s: %s", got.Code, got.Header().Get("Retry-After"), got.Body)
	}
}

func TestProcessorTimeUsedUp(t *testing.T) {
	t.Parallel()
	caller := jobs.Caller{Tenant: "acme", Limits: jobs.TenantLimits{CPUPerDay: time.Hour}}
	got := serveAs(t, nil, caller, "/execute", func(h *Handler, w http.ResponseWriter, r *http.Request) {
		h.writeError(w, r, jobs.CPUUsedUp(time.Hour, 5*time.Hour))
	})
	if got.Code != 429 || got.Header().Get("Retry-After") != "18000" ||
		got.Header().Get("RateLimit") != `"cpu-day";r=0;t=18000` ||
		!strings.Contains(got.Body.String(), `"code":"quota_exceeded"`) {
		t.Errorf("%d %v: %s", got.Code, got.Header(), got.Body)
	}
}
