package tenants

import (
	"encoding/base64"
	"strings"
	"testing"
)

// operations are requests by the scope that they need. Each is of acme's own.
func operations() map[string][]request {
	p := world.owned
	small := job(map[string]any{"script": "def main():\n    return 1\n"})
	return map[string][]request{
		"run": {
			{method: "POST", path: "/execute", body: small},
			{method: "POST", path: "/batches", body: small, headers: ndjson},
			{method: "POST", path: "/files", body: "x"},
			{method: "POST", path: "/compat/sandboxfusion/run_code", body: `{"code":"1","language":"python"}`},
			tool("run_python", `{"code":"1"}`),
		},
		"read": {
			{method: "GET", path: "/jobs"},
			{method: "GET", path: "/jobs/" + p.ended},
			{method: "HEAD", path: "/jobs/" + p.ended},
			{method: "GET", path: "/jobs/" + p.ended + "/events"},
			{method: "GET", path: "/jobs/" + p.ended + "/files/" + fileName},
			{method: "GET", path: "/jobs/" + p.ended + "/files/" + nestedName},
			{method: "GET", path: "/batches/" + p.batch},
			{method: "GET", path: "/batches/" + p.batch + "/results"},
			{method: "GET", path: "/files/" + p.file},
			tool("get_job", `{"job_id":"`+p.ended+`"}`),
			tool("read_file", `{"job_id":"`+p.ended+`","path":"@stdout"}`),
			task("tasks/get").withID(p.ended),
		},
		"cancel": {
			{method: "DELETE", path: "/jobs/{queued}"},
			{method: "DELETE", path: "/batches/{open}"},
			{method: "DELETE", path: "/files/{file}"},
			tool("cancel_job", `{"job_id":"{queued}"}`),
			task("tasks/cancel"),
		},
	}
}

func scopeAttempts() (all []attempt) {
	for _, own := range []string{"run", "read", "cancel"} {
		for _, wanted := range []string{"run", "read", "cancel"} {
			if own == wanted {
				continue
			}
			name := "scopes/" + own + "_is_not_" + wanted
			all = append(all, attempt{name: name, try: func(t *testing.T, _ *actor) string {
				return tryScope(t, own, wanted, false)
			}, control: func(t *testing.T) string { return tryScope(t, wanted, wanted, true) }})
		}
	}
	return all
}

// tryScope sends the requests that need a scope with a key of acme's that has another. It returns what one got; or, if
// all are to get something, "" if one got nothing.
func tryScope(t *testing.T, own, wanted string, every bool) (evidence string) {
	key, err := createKey(keySpec{Tenant: "acme", Scopes: []string{own}})
	if err != nil {
		t.Fatal(err)
	}
	insider := newActor("acme with "+own, key.Key)
	for _, r := range operations()[wanted] {
		r = r.onFresh(t)
		got := insider.send(r)
		done := got.ok()
		if r.path == "/mcp" {
			done = permitted(got)
		}
		if done && evidence == "" {
			evidence = r.method + " " + r.path + ": " + got.String()
		}
		if every && !done {
			t.Logf("%s %s: %s", r.method, r.path, got)
			return ""
		}
	}
	return evidence
}

// onFresh replaces the places for what is to be cancelled or deleted by ids of new ones.
func (r request) onFresh(t *testing.T) request {
	t.Helper()
	for place, create := range map[string]func() string{
		"{queued}": func() string { return makeJob(t, waitingBody, "queued") },
		"{id}":     func() string { return makeJob(t, waitingBody, "queued") },
		"{open}": func() string {
			r := request{method: "POST", path: "/batches", body: waitingBody, headers: ndjson}
			return world.acme.send(r).text("batch_id")
		},
		"{file}": func() string {
			return world.acme.send(request{method: "POST", path: "/files", body: "x"}).text("file_id")
		},
	} {
		text := r.path + r.body
		if strings.Contains(text, place) {
			id := create()
			r.path, r.body = strings.ReplaceAll(r.path, place, id), strings.ReplaceAll(r.body, place, id)
			r = r.withID(id)
		}
	}
	return r
}

func doorAttempts() []attempt {
	return []attempt{
		{name: "doors/sandboxfusion_files", try: tryFetch, control: func(t *testing.T) string {
			got := world.acme.send(request{
				method: "POST", path: "/compat/sandboxfusion/run_code", body: job(map[string]any{
					"code": "open('x', 'w').write('" + secret + "')", "language": "python",
					"fetch_files": []string{"x"},
				}),
			})
			if strings.Contains(got.body, base64.StdEncoding.EncodeToString([]byte(secret))) {
				return got.body
			}
			return ""
		}},
		{name: "doors/sandboxfusion_user", try: tryUserName},
	}
}

// tryFetch asks SandboxFusion's door for files of acme's jobs.
func tryFetch(_ *testing.T, as *actor) string {
	p := world.owned
	names := []string{
		fileName, nestedName, "/jobs/" + p.ended + "/files/" + fileName, "../" + p.ended + "/" + fileName, p.file,
		"/files/" + p.file, "outputs/../../" + p.ended + "/" + fileName,
	}
	for _, name := range names {
		got := as.send(request{method: "POST", path: "/compat/sandboxfusion/run_code", body: job(map[string]any{
			"code": "import os\nprint(os.listdir('.'))", "language": "python", "fetch_files": []string{name},
			"files": map[string]any{"in": base64.StdEncoding.EncodeToString([]byte(p.file))},
		})})
		if strings.Contains(got.body, base64.StdEncoding.EncodeToString([]byte(secret))) {
			return got.String()
		}
	}
	return ""
}

// tryUserName sends its own key as the password of the user acme: the job must not be acme's.
func tryUserName(t *testing.T, as *actor) string {
	requestID := "user-name-of-" + as.name
	anyone := &actor{url: as.url, client: as.client}
	got := anyone.send(request{
		method: "POST", path: "/compat/sandboxfusion/run_code", body: `{"code":"1","language":"python"}`,
		headers: []string{
			"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("acme:"+as.key)),
			"X-Request-Id", requestID,
		},
	})
	if !got.ok() {
		t.Fatal(got)
	}
	for _, line := range auditLines(t) {
		if line["request_id"] == requestID && line["tenant"] == "acme" {
			return "a job of acme's"
		}
	}
	return ""
}
