package jobs

import (
	"testing"
)

// A context without a caller must not open anything.
func TestCallerSees(t *testing.T) {
	t.Parallel()
	acme := Caller{Tenant: "acme", Scopes: []Scope{ScopeRun, ScopeRead}}
	none := CallerOf(t.Context())
	for _, c := range []struct {
		name   string
		caller Caller
		owner  Tenant
		want   bool
	}{
		{"own", acme, "acme", true},
		{"another's", acme, "beta", false},
		{"the operator's", acme, Operator, false},
		{"admin", OperatorCaller(), "acme", true},
		{"no caller", none, Operator, false},
		{"no caller, no owner", none, "", false},
	} {
		if got := c.caller.Sees(c.owner); got != c.want {
			t.Errorf("%s: Sees(%q) = %v, want %v", c.name, c.owner, got, c.want)
		}
	}
	got := CallerOf(WithCaller(t.Context(), acme))
	if got.Tenant != "acme" || !got.May(ScopeRead) || got.May(ScopeCancel) {
		t.Errorf("CallerOf = %+v", got)
	}
}
