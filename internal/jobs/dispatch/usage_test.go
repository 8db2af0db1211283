package dispatch

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

func TestCallersSeeTheirOwnUsage(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	for _, line := range []string{"acme", "beta", "operator"} {
		s.client.RPush(t.Context(), "cellblock:{index}:usage", line+" 20000 1 ok 1 1 1")
	}
	if _, err := s.store.CountUsage(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	acme := jobs.Caller{Tenant: "acme", Scopes: []jobs.Scope{jobs.ScopeRead}}
	for name, tc := range map[string]struct {
		caller jobs.Caller
		tenant jobs.Tenant
		want   int // rows; -1 for CodeNotFound
	}{
		"own":                  {acme, "", 1},
		"own by name":          {acme, "acme", 1},
		"another's":            {acme, "beta", -1},
		"an unknown tenant's":  {acme, "nobody", -1},
		"no caller":            {jobs.Caller{}, "", -1},
		"no caller, by name":   {jobs.Caller{}, "acme", -1},
		"all, of the operator": {jobs.OperatorCaller(), "", 3},
		"one, of the operator": {jobs.OperatorCaller(), "beta", 1},
		"none":                 {jobs.OperatorCaller(), "nobody", 0},
	} {
		on := time.Unix(20000*24*60*60, 0).UTC()
		query := jobs.UsageQuery{From: on, To: on, Tenant: tc.tenant}
		report, err := s.Usage(jobs.WithCaller(t.Context(), tc.caller), query)
		switch {
		case tc.want < 0:
			if jobs.CodeOf(err) != jobs.CodeNotFound {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || len(report.Days) != tc.want:
			t.Errorf("%s: %+v, %v", name, report.Days, err)
		}
	}
}
