package tenants

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

// etag is that of a file with the secret.
func etag() string {
	sum := sha256.Sum256([]byte(secret))
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func fileAttempts() (all []attempt) {
	jobFile, stored := "/jobs/{id}/files/"+fileName, "/files/{id}"
	for name, r := range map[string]request{
		"files/job_file":                  {method: "GET", path: jobFile},
		"files/job_file_in_folder":        {method: "GET", path: "/jobs/{id}/files/" + nestedName},
		"files/head_job_file":             {method: "HEAD", path: jobFile},
		"files/part_of_job_file":          {method: "GET", path: jobFile, headers: []string{"Range", "bytes=0-3"}},
		"files/probe_content_of_job_file": {method: "GET", path: jobFile, headers: []string{"If-None-Match", etag()}},
		"files/stored":                    {method: "GET", path: stored},
		"files/head_stored":               {method: "HEAD", path: stored},
		"files/part_of_stored":            {method: "GET", path: stored, headers: []string{"Range", "bytes=0-3"}},
		"files/probe_content_of_stored":   {method: "GET", path: stored, headers: []string{"If-None-Match", etag()}},
	} {
		all = append(all, attempt{name: name, try: func(_ *testing.T, as *actor) string {
			if strings.HasPrefix(r.path, stored) {
				return as.compareAll(r, world.owned.file)
			}
			return as.compareAll(r, world.owned.ended)
		}})
	}
	return append(all,
		attempt{name: "files/paths_out_of_own_job", try: tryPaths, control: func(*testing.T) string {
			got := world.acme.send(request{method: "GET", path: "/jobs/" + world.owned.ended + "/files/" + fileName})
			return got.body
		}},
		attempt{name: "files/delete_stored", try: tryDelete})
}

// tryPaths leads from the files of a job of the attacker's own to those of acme's job.
func tryPaths(t *testing.T, as *actor) string {
	own := as.send(request{method: "POST", path: "/execute", body: job(map[string]any{
		"script": "import os\ndef main():\n    os.makedirs('outputs')\n    open('outputs/x', 'w').close()\n",
	})})
	id := own.text("job_id")
	if id == "" {
		t.Fatal(own)
	}
	to := world.owned.ended
	for _, path := range []string{
		"../../" + to + "/files/" + fileName, "..%2f..%2f" + to + "%2ffiles%2f" + fileName,
		"x/../../../" + to + "/files/" + fileName, "%2e%2e/%2e%2e/" + to + "/files/" + fileName,
		"/jobs/" + to + "/files/" + fileName, to + "/" + fileName, "../" + to + "/" + fileName,
		"..%5c..%5c" + to + "%5cfiles%5c" + fileName, "x%00/../" + to,
	} {
		if got := as.send(request{method: "GET", path: "/jobs/" + id + "/files/" + path}); got.ok() {
			return path + ": " + got.String()
		}
	}
	return ""
}

func tryDelete(t *testing.T, as *actor) string {
	made := world.acme.send(request{method: "POST", path: "/files", body: secret})
	id := made.text("file_id")
	if id == "" {
		t.Fatal(made)
	}
	got := as.compareAll(request{method: "DELETE", path: "/files/{id}"}, id)
	if after := world.acme.send(request{method: "GET", path: "/files/" + id}); got == "" && !after.ok() {
		got = after.String()
	}
	return got
}

// printer is a script that returns the content of the file that the request refers to.
const printer = "def main():\n    return open('in').read()\n"

// referring returns the request for a job with the file of a reference.
func referring(reference map[string]any) request {
	reference["path"] = "in"
	return request{method: "POST", path: "/execute", body: job(map[string]any{
		"script": printer, "files": []any{reference},
	})}
}

func referenceAttempts() []attempt {
	left := func(name string) request { return referring(map[string]any{"job_id": "{id}", "name": name}) }
	return []attempt{
		{name: "references/stored_file", try: func(_ *testing.T, as *actor) string {
			return as.compareAll(referring(map[string]any{"file_id": "{id}"}), world.owned.file)
		}},
		{name: "references/job_file", try: func(_ *testing.T, as *actor) string {
			ended := world.owned.ended
			return first(as.compareAll(left(fileName), ended), as.compareAll(left(nestedName), ended))
		}},
		{name: "references/file_that_is_not_there", try: func(_ *testing.T, as *actor) string {
			return as.compareAll(left("other.txt"), world.owned.ended, world.owned.running)
		}},
		{name: "references/in_a_batch", try: tryBatchReference},
		{name: "references/with_an_idempotency_key", try: func(_ *testing.T, as *actor) string {
			r := referring(map[string]any{"file_id": "{id}"})
			r.headers = []string{"Idempotency-Key", "referring-{id}"}
			return as.compareAll(r, world.owned.file)
		}},
	}
}

// tryBatchReference makes a batch of jobs that refer to acme's files.
func tryBatchReference(t *testing.T, as *actor) string {
	var lines []string
	for _, reference := range []map[string]any{
		{"file_id": world.owned.file}, {"job_id": world.owned.ended, "name": fileName},
	} {
		lines = append(lines, referring(reference).body)
	}
	got := as.send(request{
		method: "POST", path: "/batches", body: strings.Join(lines, "\n"), headers: ndjson,
	})
	members, _ := got.object()["members"].([]any)
	if len(members) != len(lines) {
		t.Fatal(got)
	}
	for _, member := range members {
		if fields, _ := member.(map[string]any); fields["job_id"] != nil && fields["job_id"] != "" {
			return got.String()
		}
	}
	return ""
}
