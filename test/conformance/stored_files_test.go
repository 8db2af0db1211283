package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"cellblock/test/stack"
)

// storedFile is the response to an upload.
type storedFile struct {
	FileID    string    `json:"file_id"`
	Name      string    `json:"name"`
	Size      int64     `json:"size"`
	MediaType string    `json:"media_type"`
	SHA256    string    `json:"sha256"`
	ExpiresAt time.Time `json:"expires_at"`
}

// upload stores a file, and returns its description with the URL for readFile.
func upload(t *testing.T, base, name, content string) (storedFile, file) {
	t.Helper()
	a := call(t, base, request{
		Path: "/files?name=" + url.QueryEscape(name), Body: []byte(content), Header: http.Header{},
	})
	checkEqual(t, "status of an upload", a.HTTPStatus, http.StatusCreated)
	var stored storedFile
	if err := json.Unmarshal([]byte(a.Body), &stored); err != nil {
		t.Fatal(err)
	}
	checkEqual(t, "Location", a.Header.Get("Location"), "/files/"+stored.FileID)
	return stored, file{
		Name: stored.Name, Size: stored.Size, MediaType: stored.MediaType, SHA256: stored.SHA256,
		URL: "/files/" + stored.FileID,
	}
}

// catScript returns the content of its files.
const catScript = "def main(*, paths):\n    return [open(path).read() for path in paths]"

func cat(t *testing.T, base string, files ...map[string]string) answer {
	t.Helper()
	var paths []string
	for _, each := range files {
		paths = append(paths, each["path"])
	}
	return executeWith(t, base, catScript, map[string]any{"args": map[string]any{"paths": paths}, "files": files})
}

// TestAChainOfJobs runs the three jobs of docs/api.md, each in a sandbox of its own.
func TestAChainOfJobs(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k *kind) {
		t.Parallel()
		base := k.standard.URL
		points := executeWith(t, base, example(t, "points.py"), map[string]any{"args": map[string]any{"n": 40}})
		checkEqual(t, "result of the first", string(points.Result), "40")
		csv := map[string]string{"path": "points.csv", "job_id": points.JobID, "name": "points.csv"}
		fit := executeWith(t, base, example(t, "fit.py"), map[string]any{"files": []any{csv}})
		matching(`^{"slope":(1\.9|2\.0)[0-9]*,"intercept":-?[0-9.]+}$`).check(t, "line", string(fit.Result))
		line := map[string]string{"path": "line.json", "job_id": fit.JobID, "name": "line.json"}
		draw := executeWith(t, base, example(t, "draw.py"), map[string]any{"files": []any{csv, line}})
		if len(draw.Files) != 1 || draw.Files[0].Name != "figure-1.png" {
			t.Fatalf("the files are %v\n%.1000s", draw.Files, draw.Body)
		}
		readFile(t, base, draw.Files[0])
	})
}

func TestStoredFiles(t *testing.T) {
	t.Parallel()
	base := defaultStack().URL
	stored, described := upload(t, base, "d/é.csv", "a,b\n1,2\n")
	if left := time.Until(stored.ExpiresAt); left < 23*time.Hour || left > 25*time.Hour {
		t.Errorf("the file expires in %s", left)
	}
	checkEqual(t, "media type", stored.MediaType, "text/csv")
	got := readFile(t, base, described)
	checkEqual(t, "Content-Disposition", got.Header.Get("Content-Disposition"),
		"attachment; filename*=utf-8''%C3%A9.csv")
	head := call(t, base, request{Method: http.MethodHead, Path: described.URL})
	checkEqual(t, "Content-Length", head.Header.Get("Content-Length"), "8")
	rest := call(t, base,
		request{Method: http.MethodGet, Path: described.URL, Header: http.Header{"Range": {"bytes=4-"}}})
	checkEqual(t, "a part", rest.Body, "1,2\n")

	a := cat(t, base, map[string]string{"path": "in/a.csv", "file_id": stored.FileID},
		map[string]string{"path": "b", "content": "sent"},
		map[string]string{"path": "c", "file_id": strings.ToUpper(stored.FileID)})
	checkEqual(t, "result", string(a.Result), `["a,b\n1,2\n","sent","a,b\n1,2\n"]`)

	asForm := form(t, base, []part{
		{"script", "", catScript},
		{"args", "", `{"paths":["x","y"]}`},
		{"files", "y", "in a part"},
		{"file_refs", "", `[{"path":"x","file_id":"` + stored.FileID + `"}]`},
	})
	checkEqual(t, "result of a form", string(asForm.Result), `["a,b\n1,2\n","in a part"]`)

	for range 2 {
		gone := call(t, base, request{Method: http.MethodDelete, Path: described.URL})
		if gone.HTTPStatus != http.StatusNoContent {
			checkRefusal(t, gone, "not_found", matching("no such file, or it has expired"))
		}
	}
	checkRefusal(t, call(t, base, request{Method: http.MethodGet, Path: described.URL}), "not_found",
		matching("no such file"))
	a = cat(t, base, map[string]string{"path": "in/a.csv", "file_id": stored.FileID})
	checkRefusal(t, a, "file_not_found", matching(`^"files": "in/a.csv" refers to a stored file that does not exist`))
}

// TestADeletedFileStaysInItsJob deletes a file while the job that has it waits behind another.
func TestADeletedFileStaysInItsJob(t *testing.T) {
	t.Parallel()
	s := kinds[0].startOneSlot(t)
	first := submit(t, s.URL, "import time\ndef main(): time.sleep(1)")
	stored, described := upload(t, s.URL, "a", "kept")
	waiting := executeWith(t, s.URL, catScript, map[string]any{
		"args": map[string]any{"paths": []string{"a"}}, "async": true,
		"files": []any{map[string]string{"path": "a", "file_id": stored.FileID}},
	})
	checkEqual(t, "status", waiting.HTTPStatus, http.StatusAccepted)
	call(t, s.URL, request{Method: http.MethodDelete, Path: described.URL})
	checkEqual(t, "result", string(read(t, s.URL, waiting.JobID, "?wait=20s").Result), `["kept"]`)
	checkEqual(t, "status of the first", read(t, s.URL, first.JobID, "").Status, "succeeded")
}

func TestFilesOfJobsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	base := defaultStack().URL
	running := submit(t, base, "import time\ndef main(): time.sleep(3)")
	empty := execute(t, base, "def main(): return 1")
	for sentence, entry := range map[string]map[string]string{
		"a file of a job that has not ended yet":        {"job_id": running.JobID, "name": "a"},
		"a file that its job did not leave":             {"job_id": empty.JobID, "name": "a"},
		"a file of a job that does not exist":           {"job_id": empty.JobID[:35] + "x", "name": "a"},
		"a file of a job that does not exist or has ex": {"job_id": "../x", "name": "../../a"},
	} {
		entry["path"] = "in.csv"
		checkRefusal(t, cat(t, base, entry), "file_not_found", matching(`^"files": "in.csv" refers to `+sentence))
	}
}

// TestSizesOfReferencesCount: what a request refers to counts as if it were sent.
func TestSizesOfReferencesCount(t *testing.T) {
	t.Parallel()
	base := defaultStack().URL
	stored, _ := upload(t, base, "large", strings.Repeat("x", 9<<20))
	a := cat(t, base, map[string]string{"path": "a", "file_id": stored.FileID},
		map[string]string{"path": "b", "file_id": stored.FileID})
	checkRefusal(t, a, "input_too_large", matching(`^"files" has 18874368 bytes, at most 16777216`))
	job := executeWith(t, base, "import os\ndef main(): return os.path.getsize('a')", map[string]any{
		"files": []any{map[string]string{"path": "a", "file_id": stored.FileID}},
	})
	checkEqual(t, "result", string(job.Result), "9437184")
}

// TestTheBoundOnStoredFiles fills the store, and breaks off an upload, which leaves nothing.
func TestTheBoundOnStoredFiles(t *testing.T) {
	t.Parallel()
	s := startStack(t, stack.Config{API: stack.Env{"STORED_FILES_MB": "17"}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(conn, "POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16000000\r\n\r\n"+
		strings.Repeat("x", 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	count := func() int {
		entries, _ := os.ReadDir(s.FilesDir()) // it is created by the upload
		return len(entries)
	}
	if !eventually(func() bool { return count() == 1 }) {
		t.Fatal("the upload does not arrive")
	}
	// The bytes that are to come count already.
	full := call(t, s.URL, request{Path: "/files", Body: make([]byte, 2<<20), Header: http.Header{}})
	checkRefusal(t, full, "storage_full", matching("more than 17 MiB together.*DELETE /files/"))
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return count() == 0 }) {
		t.Error("an upload that broke off left a file")
	}
	content := strings.Repeat("y", 16<<20)
	stored, _ := upload(t, s.URL, "a", content)
	sum := sha256.Sum256([]byte(content))
	checkEqual(t, "sha256", stored.SHA256, hex.EncodeToString(sum[:]))
}
