package tenants

import (
	"fmt"
	"strings"
	"testing"
)

// quotaAttempts ask by each door for more than a key allows. A control is the same with a key without the limit.
func quotaAttempts() []attempt {
	return []attempt{
		{name: "quotas/environment", try: func(t *testing.T, _ *actor) string {
			return tryDoors(t, map[string]any{"environments": []string{"default"}}, inEnvironment())
		}, control: func(t *testing.T) string { return tryDoors(t, nil, inEnvironment()) }},
		{name: "quotas/largest_limits", try: func(t *testing.T, _ *actor) string {
			return tryDoors(t, map[string]any{"largest": map[string]any{"wall_seconds": 1}}, longerThanASecond())
		}, control: func(t *testing.T) string { return tryDoors(t, nil, longerThanASecond()) }},
		{name: "quotas/names_of_tenants", try: func(t *testing.T, _ *actor) string {
			return tryNames("Acme", "ACME", "acme ", " acme", "acme\n", "acme\x00", "\u0430cme", "acme/x", "*", "",
				"-acme", "acme:x", "a_b", strings.Repeat("a", 64))
		}, control: func(*testing.T) string { return tryNames("acme") }},
	}
}

// done is what the scripts of these attempts return: a number that no request has.
const done = "1849"

// wish is a request, and what its answer has if it was granted.
type wish struct {
	request

	granted string
}

// inEnvironment are requests for jobs in an environment, where they wait, and for the list of environments.
func inEnvironment() []wish {
	block := "# /// script\n# dependencies = ['neighbour-module']\n# ///\ndef main(): pass\n"
	named := job(map[string]any{"script": "def main(): pass\n", "environment": busyEnvironment, "async": true})
	found := job(map[string]any{"script": block, "async": true})
	return []wish{
		{request{method: "POST", path: "/execute", body: named}, `"status":"queued"`},
		{request{method: "POST", path: "/execute", body: found}, `"status":"queued"`},
		{request{method: "POST", path: "/batches", body: named, headers: ndjson}, `"refused":0`},
		{request{method: "GET", path: "/environments"}, `"name":"` + busyEnvironment},
		{tool("run_python", `{"code":"1","environment":"`+busyEnvironment+`"}`), `"resultType":"task"`},
	}
}

// longerThanASecond are requests for jobs that need more than a second.
func longerThanASecond() []wish {
	const code = "import time\ntime.sleep(1.5)\nprint(43 * 43)\n"
	fields := map[string]any{"script": code, "entry": "script"}
	silent := job(fields)
	fields["limits"] = map[string]any{"wall_seconds": 5}
	return []wish{
		{request{method: "POST", path: "/execute", body: job(fields)}, done},
		{request{method: "POST", path: "/execute", body: silent}, done},
		{request{method: "POST", path: "/batches", body: job(fields), headers: ndjson}, `"refused":0`},
		{tool("run_python", job(map[string]any{"code": code, "timeout_seconds": 5})), done},
		{request{
			method: "POST", path: "/compat/sandboxfusion/run_code",
			body: job(map[string]any{"code": code, "language": "python", "run_timeout": 5}),
		}, done},
	}
}

// tryDoors sends each request with a key that has limits, and returns an answer that grants what was wished.
func tryDoors(t *testing.T, limits map[string]any, wishes []wish) string {
	name := "bounded"
	if limits == nil {
		name = "unbounded"
	}
	key := mustKey(t, keySpec{Tenant: name, Scopes: []string{"run", "read", "cancel"}, Limits: limits})
	as := newActor(name, key.Key)
	defer cancelAll(as)
	granted := ""
	for _, w := range wishes {
		got := as.send(w.request)
		if strings.Contains(got.body, w.granted) {
			granted = fmt.Sprintf("%s %s: %s", w.method, w.path, got)
		} else if limits == nil {
			t.Logf("%s %s: %s", w.method, w.path, got)
			return "" // each must be granted where there is no limit
		}
	}
	return granted
}

// tryNames asks for keys of tenants whose names might be taken for those of others.
func tryNames(names ...string) string {
	for _, name := range names {
		if key, err := createKey(keySpec{Tenant: name, Scopes: []string{"read"}}); err == nil {
			return fmt.Sprintf("%q: %s", name, key.KeyID)
		}
	}
	return ""
}
