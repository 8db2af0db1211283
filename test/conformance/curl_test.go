package conformance

import (
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// curlCase is a shell command and the output of curl: the body and the status.
type curlCase struct {
	id, command, status, body string
}

// jsonType is the header that curl -d needs.
const jsonType = `-H 'Content-Type: application/json' `

// leaveFile runs a job that leaves a file of ten digits, and sets $file to its URL.
const leaveFile = `curl --silent ` + jsonType +
	`-d @leaves.json "$URL/execute" >left.$$.json; file="$URL$(jq -r .files[0].url left.$$.json)"; `

var curlCases = []curlCase{
	{"curl-json", `post ` + jsonType + `-d @ok.json "$URL/execute"`, "200", `"result":42`},
	{"curl-pretty-crlf", `post ` + jsonType + `--data-binary @pretty.json "$URL/execute"`, "200", `"result":42`},
	{
		"curl-literal-newline", `post ` + jsonType + `--data-binary @newline.json "$URL/execute"`, "400",
		`in string (expecting non-control character) at byte 22`,
	},
	{
		"curl-charset",
		`for type in 'json; charset=utf-8' 'json;charset=UTF-8' 'json; charset="utf-8"' \
			'JSON' 'json;' 'json ; charset=utf8'; do
		post --output /dev/null -H "Content-Type: application/$type" -d @ok.json "$URL/execute"; done`, "200",
		"200\n200\n200\n200\n200\n200",
	},
	{"curl-root", `post "$URL/"`, "200", `<title>Playground`},
	// The job's file by its position in the response; its ETag is its digest.
	{"file-etag", leaveFile + `post -H "If-None-Match: \"$(jq -r .files[0].sha256 left.$$.json)\"" "$file"`, "304", ""},
	{"file-range", leaveFile + `post --range 2-4 "$file"`, "206", "234\n206"},
	{
		"idem-whitespace",
		`key="spelt twice $$"; first=$(post -H "Idempotency-Key: $key" ` + jsonType +
			`-d @ok.json "$URL/execute" | jq -r '.job_id?')
		post -H "Idempotency-Key: $key" ` + jsonType + ` \
			--data-binary $'\n{ "script" :\t"def main():\\n    return 42" }' "$URL/execute" |
		sed "s/$(head -1 <<<"$first")/the same job/"`, "200", "the same job",
	},
	{
		"curl-gzip", `post ` + jsonType + `-H 'Content-Encoding: gzip' --data-binary @ok.json.gz "$URL/execute"`, "415",
		`must not be compressed`,
	},
	{"curl-compressed", `post --compressed ` + jsonType + `-d @ok.json "$URL/execute"`, "200", `"result":42`},
	{"curl-form", `post -F script=@crlf.py "$URL/execute"`, "200", `"result":["a","b"]`},
	{"curl-form-bom", `post -F script=@bom.py "$URL/execute"`, "200", `"result":"é"`},
	{
		"curl-form-argsplain", `post -F script=@bom.py -F args=n=5 "$URL/execute"`, "400",
		`\"args\" must be a JSON object of main()'s keyword arguments, such as {\"n\": 5}`,
	},
	{
		"curl-form-wrong-part", `post -F script=@bom.py -F file=@crlf.py "$URL/execute"`, "400",
		`unknown part \"file\"; did you mean \"files\"?`,
	},
	{
		"curl-form-no-name", `post -F script=@bom.py -F 'files=<crlf.py' "$URL/execute"`, "400",
		`with curl: -F files=@data.csv`,
	},
	{
		"curl-mnt-data",
		`post -F script=@bom.py -F 'files=@crlf.py;filename=/mnt/data/sales.csv' "$URL/execute"`, "400",
		`give it as \"sales.csv\"`,
	},
	{
		"curl-charset", `post -H 'Content-Type: application/json ; charset=utf8' -d @ok.json "$URL/execute"`,
		"200", `"result":42`,
	},
	{"curl-json-bom", `post ` + jsonType + `--data-binary @bom.json "$URL/execute"`, "200", `"result":42`},
	{
		"curl-capitals",
		`id=$(curl -s ` + jsonType +
			`-d @ok.json "$URL/execute" | jq -r '.job_id | ascii_upcase') && post "$URL/jobs/$id"`,
		"200", `"result":42`,
	},
	{"curl-unknown-query", `post "$URL/jobs?customer=acme"`, "400", `unknown query parameter \"customer\"`},
	{"curl-probe-query", `post "$URL/healthz?from=probe"`, "200", `"status":"ok"`},
	// What a browser sends for a page of another origin.
	{
		"curl-cross-origin",
		`post -F script=@bom.py -H 'Origin: https://a.example' -H 'Sec-Fetch-Site: cross-site' "$URL/execute"`, "403",
		`"code":"cross_origin"`,
	},
	// What a browser sends for a page that has bound its own name to the service's address.
	{
		"curl-rebound",
		`post ` + jsonType + `-d @ok.json -H 'Host: rebound.example:8080' -H 'Sec-Fetch-Site: same-origin' ` +
			`"$URL/execute"`, "403", `"code":"host_not_allowed"`,
	},
	{
		"curl-rawpy", `post -H 'Content-Type: text/x-python' --data-binary @crlf.py "$URL/execute"`, "415",
		`with curl: -H 'Content-Type: application/json'`,
	},
	{
		"curl-stdin-jq", `jq -Rs '{script: .}' crlf.py | post ` + jsonType + `-d @- "$URL/execute"`, "200",
		`"result":["a","b"]`,
	},
	{
		"curl-batch-json-array", `post ` + jsonType + `-d '[{"script":"def main(): return 1"}]' "$URL/batches"`, "415",
		`with curl: -H 'Content-Type: application/x-ndjson' --data-binary @jobs.ndjson`,
	},
	// The first request hangs up, the second asks again with the same key.
	{
		"curl-timeout-client",
		`key="hung up $$"; ! post --max-time 0.3 -H "Idempotency-Key: $key" ` + jsonType +
			`-d @slow.json "$URL/execute" &&
		post -H "Idempotency-Key: $key" ` + jsonType + `-d @slow.json "$URL/execute"`, "200", `"result":9`,
	},
	{"curl-expect", `post -H 'Expect: 100-continue' ` + jsonType + `-d @ok.json "$URL/execute"`, "200", `"result":42`},
	{
		"curl-expect-toobig",
		`post -H 'Expect: 100-continue' ` + jsonType + `--data-binary @toobig.json "$URL/execute"`,
		"413", `"code":"script_too_large"`,
	},
	{
		"curl-files-toobig", `post ` + jsonType + `--data-binary @bigfile.json "$URL/execute"`, "413",
		`the largest part is \"files\": send large files as multipart/form-data`,
	},
	{
		"curl-form-toobig", `post -F script=@bom.py -F files=@toobig.json "$URL/execute"`, "413",
		`the largest part is \"files\": all files together may have 16777216 bytes`,
	},
	{
		"requests-chunked", `post -H 'Transfer-Encoding: chunked' ` + jsonType + `-d @ok.json "$URL/execute"`,
		"200", `"result":42`,
	},
	{
		"requests-accept-html", `post -H 'Accept: text/html' ` + jsonType + `-d @ok.json "$URL/execute"`,
		"200", `"result":42`,
	},
	{"requests-double-slash", `post ` + jsonType + `-d @ok.json "$URL//execute"`, "404", `"code":"not_found"`},
	{"lower-method", `post -X post ` + jsonType + `-d @ok.json "$URL/execute"`, "405", `it takes POST`},
	{"http10", `post -0 ` + jsonType + `-d @ok.json "$URL/execute"`, "200", `"result":42`},
	{
		"status-done", `post "$URL/jobs?status=done"`, "400",
		`\"status\" must be queued, running, succeeded, failed or cancelled`,
	},
}

// curlFiles writes the files that the commands refer to, and returns their folder.
func curlFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ok := `{"script":"def main():\n    return 42"}`
	for name, content := range map[string]string{
		"ok.json": ok,
		"pretty.json": "\r\n\r\n{\r\n  \"script\": \"def main():\\r\\n    return 42\\r\\n\",\r\n  \"args\": {}\r\n" +
			"}\r\n",
		"newline.json": "{\"script\":\"def main():\n    return 1\"}",
		"slow.json":    `{"script":"import time\ndef main():\n    time.sleep(1)\n    return 9"}`,
		"leaves.json": `{"script":"import os\ndef main():\n    os.makedirs('outputs', ` +
			`exist_ok=True)\n    open('outputs/f', 'w').write('0123456789')"}`,
		"toobig.json": `{"script":"` + strings.Repeat("x", 22<<20) + `"}`,
		"bigfile.json": `{"script":"def main(): pass","files":[{"path":"a.csv","content":"` + strings.Repeat("x",
			40<<20) + `"}]}`,
		"bom.json": "\ufeff" + ok,
		"crlf.py":  "def main():\r\n\treturn [\"a\", \"b\"]\r\n",
		"bom.py":   "\ufeffdef main():\n    return \"é\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Create(filepath.Join(dir, "ok.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := gzip.NewWriter(file)
	if _, err := w.Write([]byte(ok)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestCurl runs the real program.
func TestCurl(t *testing.T) {
	t.Parallel()
	dir := curlFiles(t)
	for _, c := range curlCases {
		t.Run(c.id, func(t *testing.T) {
			t.Parallel()
			script := "post() { curl --silent --write-out '\\n%{http_code}' \"$@\"; }\n" + c.command
			command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
			command.Dir, command.Env = dir, append(os.Environ(), "URL="+defaultStack().URL)
			out, err := command.Output()
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if status := lines[len(lines)-1]; status != c.status || !strings.Contains(string(out), c.body) {
				t.Errorf("want %s and %s:\n%s", c.status, c.body, out)
			}
		})
	}
}
