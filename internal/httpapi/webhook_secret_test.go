package httpapi

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"cellblock/internal/jobs"
)

// stubSecrets has a secret for each tenant but the operator, of generation 7 by default.
type stubSecrets struct{}

func (stubSecrets) TenantSecrets(tenant jobs.Tenant, generation int) ([]string, int, error) {
	if tenant == jobs.Operator || generation < 0 {
		return nil, 0, jobs.Errorf(jobs.CodeInvalidRequest, "no")
	}
	if generation == 0 {
		generation = 7
	}
	return []string{"whsec_" + string(tenant)}, generation, nil
}

func TestWebhookSecrets(t *testing.T) {
	t.Parallel()
	h := newHandler(t, stubJobs{})
	url := serve(t, h)
	const path = "/admin/tenants/acme/webhook-secret"
	wantResponse(t, send(t, http.MethodGet, url+path, ""), http.StatusNotFound, jobs.CodeNotFound)
	h.webhookSecrets = stubSecrets{}
	for _, tc := range []struct {
		path, want string // want is "" for a refusal
	}{
		{path, `{"tenant":"acme","generation":7,"secrets":["whsec_acme"]}`},
		{path + "?generation=2", `{"tenant":"acme","generation":2,"secrets":["whsec_acme"]}`},
		{path + "?generation=0", ""},
		{path + "?generation=x", ""},
		{"/admin/tenants/operator/webhook-secret", ""},
	} {
		got := send(t, http.MethodGet, url+tc.path, "")
		loadContract(t).check(t, http.MethodGet, url+path, "", got, true)
		if tc.want == "" {
			wantResponse(t, got, http.StatusBadRequest, jobs.CodeInvalidRequest)
			continue
		}
		wantResponse(t, got, http.StatusOK, "")
		if got.body != tc.want+"\n" {
			t.Errorf("%s: %s", tc.path, got.body)
		}
	}
}

// No tenant reads a secret, not even its own: it gets that from the operator.
func TestWebhookSecretsAreForAdministrators(t *testing.T) {
	t.Parallel()
	h := newHandler(t, stubJobs{})
	h.webhookSecrets = stubSecrets{}
	for name, caller := range map[string]jobs.Caller{
		"no one":   {},
		"a tenant": {Tenant: "acme", Scopes: []jobs.Scope{jobs.ScopeRun, jobs.ScopeRead, jobs.ScopeCancel}},
	} {
		request := httptest.NewRequestWithContext(jobs.WithCaller(t.Context(), caller), http.MethodGet, "/", nil)
		if _, err := h.webhookSecret(request.Context(), "acme", nil); jobs.CodeOf(err) != jobs.CodeNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}
