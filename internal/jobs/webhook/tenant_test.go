package webhook

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"cellblock/internal/jobs"
)

// Secrets of the tenant acme for vectorSecret, computed by another implementation (Python's hmac).
const (
	vectorDerived1 = "whsec_sOsuwCMEt0YT2fcVnDG0cmtC3rlyJiOQ20h/FbeNv10="
	vectorDerived2 = "whsec_onBB6bMEEm2vBEN3JzltFAJyleCYaAcmo1+aHNf8XQ0="
)

func newTenantSigner(t *testing.T, text string, generations map[string]int) *Sender {
	t.Helper()
	parsed, err := parseSecrets(text)
	if err != nil {
		t.Fatal(err)
	}
	return &Sender{signer: tenantSigner{parsed, generations}}
}

func secretsOf(t *testing.T, s *Sender, tenant jobs.Tenant, generation int) []string {
	t.Helper()
	texts, _, err := s.TenantSecrets(tenant, generation)
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// verifies reports whether a receiver with the secret accepts a message about a job of the tenant.
func verifies(t *testing.T, s *Sender, tenant jobs.Tenant, secret string) bool {
	t.Helper()
	header, body := http.Header{}, []byte(`{"type":"job.ended"}`)
	if err := s.signer.sign(header, tenant, "msg_1", time.Now(), body); err != nil {
		t.Fatal(err)
	}
	hook, err := webhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return hook.Verify(body, header) == nil
}

// What receivers of customers have must not change with a version of the service.
func TestSecretsOfTenantsStayTheSame(t *testing.T) {
	t.Parallel()
	s := newTenantSigner(t, vectorSecret, nil)
	for generation, want := range map[int]string{1: vectorDerived1, 2: vectorDerived2} {
		if got := secretsOf(t, s, "acme", generation); len(got) != 1 || got[0] != want {
			t.Errorf("generation %d: %q", generation, got)
		}
	}
}

func TestTenantsCannotForgeMessagesOfOthers(t *testing.T) {
	t.Parallel()
	s := newTenantSigner(t, vectorSecret, nil)
	acme, beta := secretsOf(t, s, "acme", 0)[0], secretsOf(t, s, "beta", 0)[0]
	for _, tc := range []struct {
		tenant jobs.Tenant
		secret string
		want   bool
	}{
		{jobs.Operator, vectorSecret, true},
		{jobs.Operator, acme, false},
		{"acme", acme, true},
		{"acme", beta, false},
		{"acme", vectorSecret, false},
		{"beta", beta, true},
		{"beta", acme, false},
	} {
		if got := verifies(t, s, tc.tenant, tc.secret); got != tc.want {
			t.Errorf("a message for %s, with another's secret: verified %v", tc.tenant, got)
		}
	}
	seen := map[string]bool{}
	for _, tenant := range []jobs.Tenant{"a", "a1", "a-1", "acme"} {
		for generation := range 12 {
			secret := secretsOf(t, s, tenant, generation+1)[0]
			key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
			if err != nil || len(key) != derivedSecret || seen[secret] {
				t.Errorf("%s %d: %v", tenant, generation, err)
			}
			seen[secret] = true
		}
	}
}

// Both during a change of the service's secret and during one of a tenant's, old and new receivers can verify.
func TestRotation(t *testing.T) {
	t.Parallel()
	old := newTenantSigner(t, vectorSecret, nil)
	both := newTenantSigner(t, secretOf(32)+" "+vectorSecret, map[string]int{"acme": 3})
	if got := secretsOf(t, both, "acme", 0); len(got) != 2 || !slices.Equal(got[1:], secretsOf(t, old, "acme", 3)) {
		t.Errorf("%d secrets", len(got))
	}
	for generation, want := range map[int]bool{1: false, 2: true, 3: true, 4: false} {
		for _, secret := range secretsOf(t, both, "acme", generation) {
			if got := verifies(t, both, "acme", secret); got != want {
				t.Errorf("generation %d: verified %v", generation, got)
			}
		}
	}
	if !verifies(t, both, "beta", secretsOf(t, old, "beta", 1)[0]) {
		t.Error("another tenant's secret has changed")
	}
}

func TestSecretsThatAreNoTenants(t *testing.T) {
	t.Parallel()
	s := newTenantSigner(t, vectorSecret, map[string]int{"acme": 7})
	if _, generation, err := s.TenantSecrets("acme", 0); generation != 7 || err != nil {
		t.Errorf("generation %d, %v", generation, err)
	}
	for _, tc := range []struct {
		tenant     jobs.Tenant
		generation int
	}{{jobs.Operator, 0}, {"", 0}, {"A", 0}, {"acme", -1}, {"acme", maxGeneration + 1}} {
		texts, _, err := s.TenantSecrets(tc.tenant, tc.generation)
		if jobs.CodeOf(err) != jobs.CodeInvalidRequest || texts != nil {
			t.Errorf("%q %d: %v", tc.tenant, tc.generation, err)
		}
	}
	for name, generations := range map[string]map[string]int{
		"operator": {"operator": 2}, "zero": {"acme": 0}, "large": {"acme": maxGeneration + 1}, "no name": {"A b": 2},
	} {
		if err := checkGenerations(generations); err == nil || !strings.Contains(err.Error(), "CALLBACK_GENERATIONS") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := checkGenerations(map[string]int{"acme": 2}); err != nil {
		t.Error(err)
	}
}
