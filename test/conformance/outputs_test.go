package conformance

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
)

// checkFiles compares a response's files with its case, and downloads each.
func checkFiles(t *testing.T, base string, c testCase, a answer) {
	t.Helper()
	var names []string
	for _, f := range a.Files {
		names = append(names, f.Name)
	}
	if wanted := slices.Sorted(maps.Keys(c.Files)); c.Files != nil &&
		!slices.Equal(slices.Sorted(slices.Values(names)), wanted) {
		t.Errorf("the files are %q, want %q", names, wanted)
	}
	for _, f := range a.Files {
		got := readFile(t, base, f)
		if c.Files != nil {
			c.Files[f.Name].check(t, "file "+f.Name, got.Body)
		}
	}
}

// readFile downloads a file by its URL and checks the response against the file's description.
func readFile(t *testing.T, base string, f file) answer {
	t.Helper()
	got := call(t, base, request{Method: http.MethodGet, Path: f.URL})
	checkEqual(t, "status of "+f.URL, got.HTTPStatus, http.StatusOK)
	sum := sha256.Sum256([]byte(got.Body))
	checkEqual(t, "sha256 of "+f.URL, hex.EncodeToString(sum[:]), f.SHA256)
	checkEqual(t, "size of "+f.URL, int64(len(got.Body)), f.Size)
	checkEqual(t, "Content-Type of "+f.URL, got.Header.Get("Content-Type"), f.MediaType)
	checkEqual(t, "X-Content-Type-Options", got.Header.Get("X-Content-Type-Options"), "nosniff")
	checkEqual(t, "ETag", got.Header.Get("ETag"), `"`+f.SHA256+`"`)
	if d := got.Header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment; filename") {
		t.Errorf("Content-Disposition is %q", d)
	}
	if d := got.Header.Get("Content-Security-Policy"); !strings.Contains(d, "sandbox") {
		t.Errorf("Content-Security-Policy is %q", d)
	}
	return got
}

// writeOutputsScript is a script that leaves files, and returns 1.
const writeOutputsScript = `
import os
def main(files, size=0):
    for name, content in files.items():
        os.makedirs(os.path.dirname("outputs/" + name), exist_ok=True)
        with open("outputs/" + name, "w") as f:
            f.write(content)
            if size:
                f.truncate(size)
    return 1
`

func executeWritingOutputs(t *testing.T, base string, files map[string]string, size int, path string) answer {
	t.Helper()
	body := encode(t,
		map[string]any{"script": writeOutputsScript, "args": map[string]any{"files": files, "size": size}})
	return call(t, base, request{Path: path, Body: body})
}

// TestFilesOfAJob checks headers, escaped paths, HEAD, and paths of no file.
func TestFilesOfAJob(t *testing.T) {
	t.Parallel()
	base := defaultStack().URL
	files := map[string]string{"a b/é.csv": "x", "page.html": "<script>", "a;b\"c.txt": "y"}
	a := executeWritingOutputs(t, base, files, 0, "/execute")
	if len(a.Files) != 3 {
		t.Fatalf("the files are %v", a.Files)
	}
	checkEqual(t, "URL", a.Files[0].URL, "/jobs/"+a.JobID+"/files/a%20b/%C3%A9.csv")
	checkEqual(t, "media type of HTML", a.Files[2].MediaType, "text/html")
	disposition := readFile(t, base, a.Files[1]).Header.Get("Content-Disposition")
	checkEqual(t, "Content-Disposition", disposition, `attachment; filename="a;b\"c.txt"`)
	for _, spelt := range []string{"a%20b/%C3%A9.csv", "a%20b%2F%C3%A9.csv"} {
		got := call(t, base, request{Method: http.MethodGet, Path: "/jobs/" + a.JobID + "/files/" + spelt})
		checkEqual(t, "content of "+spelt, got.Body, "x")
	}
	head := call(t, base, request{Method: http.MethodHead, Path: a.Files[0].URL})
	checkEqual(t, "Content-Length", head.Header.Get("Content-Length"), "1")
	again := call(t, base,
		request{
			Method: http.MethodGet, Path: a.Files[2].URL,
			Header: http.Header{"If-None-Match": {head.Header.Get("ETag"), `"` + a.Files[2].SHA256 + `"`}},
		})
	checkEqual(t, "status for who has the file", again.HTTPStatus, http.StatusNotModified)
	part := call(t, base,
		request{Method: http.MethodGet, Path: a.Files[2].URL, Header: http.Header{"Range": {"bytes=1-6"}}})
	checkEqual(t, "a part of the page", part.Body, "script")
	for _, none := range []string{
		"", "b", "a b", "..", "../../healthz", "%2e%2e/x", "a%00", "PAGE.html",
		"page.html%2F", "100%25",
	} {
		got := call(t, base,
			request{Method: http.MethodGet, Path: "/jobs/" + a.JobID + "/files/" + path.Clean("/" + none)[1:]})
		if got.HTTPStatus != http.StatusNotFound && got.HTTPStatus != http.StatusBadRequest {
			t.Errorf("%q gives %d", none, got.HTTPStatus)
		}
	}
	other := execute(t, base, "def main(): return 1")
	got := call(t, base, request{Method: http.MethodGet, Path: "/jobs/" + other.JobID + "/files/page.html"})
	checkRefusal(t, got, "not_found", matching("no such job or file"))
}

// TestInlineFiles: small files are in the response if requested.
func TestInlineFiles(t *testing.T) {
	t.Parallel()
	base := defaultStack().URL
	files := map[string]string{
		"small": "é", "edge": strings.Repeat("x", 64<<10),
		"large": strings.Repeat("x", 64<<10+1),
	}
	a := executeWritingOutputs(t, base, files, 0, "/execute?inline_files=true")
	read := call(t, base, request{Method: http.MethodGet, Path: "/jobs/" + a.JobID + "?inline_files=true"})
	for _, got := range [][]file{a.Files, read.Files} {
		if len(got) != 3 {
			t.Fatalf("the files are %v", got)
		}
		for _, f := range got {
			if f.Name == "large" {
				checkEqual(t, "large", dereferenced(f.ContentBase64), "missing")
				continue
			}
			checkEqual(t, f.Name, dereferenced(f.ContentBase64),
				base64.StdEncoding.EncodeToString([]byte(files[f.Name])))
		}
	}
	plain := call(t, base, request{Method: http.MethodGet, Path: "/jobs/" + a.JobID})
	checkEqual(t, "small, not asked for", dereferenced(plain.Files[2].ContentBase64), "missing")
	bad := call(t, base, request{Method: http.MethodGet, Path: "/jobs/" + a.JobID + "?inline_files=perhaps"})
	checkRefusal(t, bad, "invalid_request", matching(`"inline_files" must be true or false`))
}
