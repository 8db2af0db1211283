package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/files"
)

// serveFiles serves a job with the files a.csv (0123456789) and empty (no content), in a real folder.
func serveFiles(t *testing.T) (h *Handler, url, etag, folder string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "files")
	store := files.New(files.Settings{URL: "file://" + folder})
	t.Cleanup(func() { _ = store.Close() })
	left := []jobs.OutputFile{
		{Name: "d/a.csv", MediaType: "text/csv", Content: []byte("0123456789")},
		{Name: "empty", MediaType: "text/plain"},
	}
	for i := range left {
		sum := sha256.Sum256(left[i].Content)
		left[i].SHA256, left[i].Size = hex.EncodeToString(sum[:]), int64(len(left[i].Content))
	}
	if err := store.Put(t.Context(), jobID, left, time.Hour); err != nil {
		t.Fatal(err)
	}
	h = newHandler(t, stubGet(ended(jobs.Outcome{Result: []byte(`1`), Files: left}), nil))
	h.files = store
	return h, serve(t, h), `"` + left[0].SHA256 + `"`, folder
}

// TestDownloads checks http.ServeContent's handling of the headers, and the headers that prevent a script's file from
// being displayed.
func TestDownloads(t *testing.T) {
	t.Parallel()
	_, url, etag, _ := serveFiles(t)
	other := `"` + etag[2:]
	const all = "0123456789"
	for name, c := range map[string]struct {
		headers []string
		status  int
		body    string
		part    string
	}{
		"whole":                 {nil, 200, all, ""},
		"first bytes":           {[]string{"Range", "bytes=0-3"}, 206, "0123", "bytes 0-3/10"},
		"the rest":              {[]string{"Range", "bytes=7-"}, 206, "789", "bytes 7-9/10"},
		"last bytes":            {[]string{"Range", "bytes=-2"}, 206, "89", "bytes 8-9/10"},
		"more than there is":    {[]string{"Range", "bytes=5-99"}, 206, "56789", "bytes 5-9/10"},
		"the same for a range":  {[]string{"Range", "bytes=0-3", "If-Range", etag}, 206, "0123", "bytes 0-3/10"},
		"another for a range":   {[]string{"Range", "bytes=0-3", "If-Range", other}, 200, all, ""},
		"the client has it":     {[]string{"If-None-Match", etag}, 304, "", ""},
		"in a second line":      {[]string{"If-None-Match", other, "If-None-Match", etag}, 304, "", ""},
		"as it may be":          {[]string{"If-Match", other, "If-Match", etag}, 200, all, ""},
		"weakly":                {[]string{"If-None-Match", other + ", W/" + etag}, 304, "", ""},
		"the client has some":   {[]string{"If-None-Match", "*"}, 304, "", ""},
		"the client has others": {[]string{"If-None-Match", other}, 200, all, ""},
		"as it should be":       {[]string{"If-Match", etag}, 200, all, ""},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			got := send(t, method, url+"/jobs/"+jobID+"/files/d/a.csv", "", c.headers...)
			wantResponse(t, got, c.status, "")
			if method == http.MethodGet && got.body != c.body || method == http.MethodHead && got.body != "" {
				t.Errorf("%s: %s returns %q", name, method, got.body)
			}
			if length := got.header.Get("Content-Length"); c.status != 304 && length != strconv.Itoa(len(c.body)) {
				t.Errorf("%s: %s has the length %s", name, method, length)
			}
			if got.header.Get("Content-Range") != c.part || got.header.Get("ETag") != etag ||
				got.header.Get("Content-Disposition") != "attachment; filename=a.csv" ||
				got.header.Get("Content-Security-Policy") != "sandbox; default-src 'none'" {
				t.Errorf("%s: %s has the headers %v", name, method, got.header)
			}
		}
	}
	got := send(t, http.MethodGet, url+"/jobs/"+jobID+"/files/empty", "", "Range", "bytes=0-")
	if got.status != http.StatusOK || got.body != "" {
		t.Errorf("a range of nothing: %d %q", got.status, got.body)
	}
}

// TestDownloadErrors expects the same error body as everywhere.
func TestDownloadErrors(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	_, url, _, _ := serveFiles(t)
	path := url + "/jobs/" + jobID + "/files/d/a.csv"
	documented := url + "/jobs/" + jobID + "/files/a.csv"
	for _, header := range []string{"bytes=10-", "bytes=99-100", "bytes=5-2", "pages=1-2"} {
		got := send(t, http.MethodGet, path, "", "Range", header)
		wantResponse(t, got, http.StatusRequestedRangeNotSatisfiable, jobs.CodeRangeNotSatisfiable)
		c.check(t, http.MethodGet, documented, "", got, true)
	}
	got := send(t, http.MethodGet, path, "", "If-Match", `"another"`)
	wantResponse(t, got, http.StatusPreconditionFailed, jobs.CodePreconditionFailed)
	c.check(t, http.MethodGet, documented, "", got, true)
}

// TestIncompleteFileIsAnError expects no 200 for a file that was shortened or is gone.
func TestIncompleteFileIsAnError(t *testing.T) {
	t.Parallel()
	_, url, _, folder := serveFiles(t)
	kept, err := filepath.Glob(filepath.Join(folder, "*.0"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%q, %v", kept, err)
	}
	if err := os.Truncate(kept[0], 4); err != nil {
		t.Fatal(err)
	}
	path := url + "/jobs/" + jobID + "/files/d/a.csv"
	wantResponse(t, send(t, http.MethodGet, path, ""), http.StatusInternalServerError, jobs.CodeInternal)
	if err := os.Remove(kept[0]); err != nil {
		t.Fatal(err)
	}
	wantResponse(t, send(t, http.MethodGet, path, ""), http.StatusNotFound, jobs.CodeNotFound)
}
