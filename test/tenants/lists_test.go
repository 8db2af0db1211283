package tenants

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// queries are queries of GET /jobs whose answers have jobs of acme's, for acme.
func queries() map[string]string {
	return map[string]string{
		"lists/all":              "limit=200",
		"lists/queued":           "limit=200&status=queued",
		"lists/running":          "limit=200&status=running",
		"lists/ended":            "limit=200&status=succeeded",
		"lists/by_label":         "limit=200&label=" + url.QueryEscape(label),
		"lists/by_environment":   "limit=200&environment=" + busyEnvironment,
		"lists/by_time":          "limit=200&since=1h",
		"lists/until":            "limit=200&until=2100-01-01T00:00:00Z",
		"lists/by_tenant":        "limit=200&tenant=acme",
		"lists/by_tenant_label":  "limit=200&tenant=acme&label=" + url.QueryEscape(label),
		"lists/from_newest_id":   "cursor=ffffffff-ffff-7fff-bfff-ffffffffffff&limit=200",
		"lists/from_foreign_id":  "limit=200&cursor=" + world.owned.large,
		"lists/from_foreign_one": "tenant=acme&limit=200&cursor=" + world.owned.large,
	}
}

func listAttempts() (all []attempt) {
	for name, query := range queries() {
		all = append(all, attempt{name: name, try: func(t *testing.T, as *actor) string {
			return listed(as, "/jobs?"+query)
		}})
	}
	byName := func(*testing.T) string { return listed(world.acme, "/jobs?limit=200&tenant=acme") }
	return append(all,
		attempt{name: "lists/tenant_in_other_words", try: tryTenantNames, control: byName},
		attempt{name: "lists/page_by_page", try: tryPages},
		attempt{name: "lists/operators", try: tryOperators, control: func(t *testing.T) string {
			return tryOperators(t, world.operator)
		}},
		attempt{name: "lists/same_for_each_name", try: func(_ *testing.T, as *actor) string {
			one := as.send(request{method: "GET", path: "/jobs?tenant=acme"})
			other := as.send(request{method: "GET", path: "/jobs?tenant=no-such-tenant"})
			if masked(one, "acme") != masked(other, "no-such-tenant") {
				return one.String()
			}
			return ""
		}},
		attempt{name: "usage/of_another", try: tryUsage},
		attempt{name: "activity/of_another", try: tryActivity},
	)
}

// listed returns the first id of acme's that a list has and the request has not.
func listed(as *actor, path string) string {
	got := as.send(request{method: "GET", path: path})
	for _, id := range world.owned.ids() {
		if strings.Contains(got.body, id) && !strings.Contains(path, id) {
			return got.String()
		}
	}
	return ""
}

// tryOperators lists the jobs of the operator.
func tryOperators(t *testing.T, as *actor) string {
	made := world.operator.send(request{method: "POST", path: "/execute", body: waitingBody})
	id := made.text("job_id")
	if id == "" {
		t.Fatal(made)
	}
	if got := as.send(request{method: "GET", path: "/jobs?limit=200&tenant=operator"}); strings.Contains(got.body, id) {
		return got.String()
	}
	return ""
}

func tryTenantNames(_ *testing.T, as *actor) string {
	for _, query := range []string{
		"tenant=*", "tenant=ACME", "tenant=acme%00", "tenant=acme%20", "tenant=mallory&tenant=acme", "tenant=",
		"tenant=.", "tenant[]=acme", "Tenant=acme", "tenant=mallory,acme",
		"tenant=%2a", "label=tenant:acme", "label=tenant%3Aacme",
	} {
		if got := listed(as, "/jobs?limit=200&"+query); got != "" {
			return query + ": " + got
		}
	}
	return ""
}

// tryPages follows the cursors to the end.
func tryPages(_ *testing.T, as *actor) string {
	path := "/jobs?limit=3"
	for range 100 {
		got := as.send(request{method: "GET", path: path})
		for _, id := range world.owned.ids() {
			if strings.Contains(got.body, id) {
				return got.String()
			}
		}
		next := got.text("next_cursor")
		if next == "" {
			return ""
		}
		path = "/jobs?limit=3&cursor=" + next
	}
	return ""
}

// tryUsage reads the usage of acme, and its own, in which no other may be.
func tryUsage(t *testing.T, as *actor) string {
	const acmes = `"tenant":"acme"`
	// What ended counts after a moment.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		got := world.operator.send(request{method: "GET", path: "/usage?tenant=acme"})
		if strings.Contains(got.body, acmes) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(got)
		}
	}
	for _, path := range []string{"/usage?tenant=acme", "/usage", "/usage?from=2026-01-01&tenant=acme"} {
		if got := as.send(request{method: "GET", path: path}); strings.Contains(got.body, acmes) {
			return got.String()
		}
	}
	return ""
}

// tryActivity reads the activity of acme, and its own, in which no other may be: only jobs of acme end with this code.
func tryActivity(t *testing.T, as *actor) string {
	const acmes, body = `"syntax_error":`, `{"script":"def main("}`
	made := world.acme.send(request{method: "POST", path: "/execute", body: body})
	if made.text("code") != "syntax_error" {
		t.Fatal(made)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		got := world.operator.send(request{method: "GET", path: "/activity?tenant=acme"})
		if strings.Contains(got.body, acmes) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(got)
		}
	}
	for _, path := range []string{"/activity?tenant=acme", "/activity", "/activity?tenant=operator"} {
		if got := as.send(request{method: "GET", path: path}); strings.Contains(got.body, acmes) {
			return got.String()
		}
	}
	return ""
}
