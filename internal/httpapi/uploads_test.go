package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

const storedID = "f_abcdefghijklmnopqrstuvwxyz"

// stubUploads is an Uploads that passes what it is called with to the test.
type stubUploads struct {
	uploads chan jobs.Upload
	// read is called with the content, and returns the upload's error.
	read func(content io.Reader) error
	err  error
}

func (s stubUploads) Upload(_ context.Context, upload jobs.Upload, content io.Reader) (jobs.StoredFile, error) {
	if err := s.read(content); err != nil {
		return jobs.StoredFile{}, err
	}
	s.uploads <- upload
	return jobs.StoredFile{ID: storedID, Name: "a", ExpiresAt: time.UnixMilli(1500)}, nil
}

func (s stubUploads) Find(context.Context, string) (jobs.StoredFile, error) {
	return jobs.StoredFile{}, s.err
}

func (s stubUploads) Delete(context.Context, string) error { return s.err }

// readAll is the read of a store that works.
func readAll(content io.Reader) error {
	_, err := io.Copy(io.Discard, content)
	return err
}

func newUploads(t *testing.T, read func(io.Reader) error, err error) (url string, uploads chan jobs.Upload) {
	t.Helper()
	h, uploads := newHandler(t, stubJobs{}), make(chan jobs.Upload, 1)
	h.uploads = stubUploads{uploads, read, err}
	return serve(t, h), uploads
}

// postFile sends an upload with headers, given as names and values.
func postFile(t *testing.T, url, content string, headers ...string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, string(read)
}

// TestUploadsAreDescribed: by the query, or by headers.
func TestUploadsAreDescribed(t *testing.T) {
	t.Parallel()
	url, uploads := newUploads(t, readAll, nil)
	const csv = "text/csv"
	for name, c := range map[string]struct {
		query   string
		headers []string
		want    jobs.Upload
	}{
		"nothing": {"", nil, jobs.Upload{MediaType: "application/octet-stream"}},
		"a type":  {"", []string{"Content-Type", csv}, jobs.Upload{MediaType: csv}},
		"a name":  {"?name=d/a.csv", nil, jobs.Upload{Name: "d/a.csv", MediaType: csv}},
		"what curl sends": {
			"?name=a.csv", []string{"Content-Type", formType}, jobs.Upload{Name: "a.csv", MediaType: csv},
		},
		"name and type": {
			"?name=a.csv", []string{"Content-Type", "a/b; c=d"}, jobs.Upload{Name: "a.csv", MediaType: "a/b; c=d"},
		},
		"the header": {
			"",
			[]string{"Content-Disposition", `attachment; filename="a b.csv"`},
			jobs.Upload{Name: "a b.csv", MediaType: csv},
		},
		"a header in UTF-8": {
			"",
			[]string{"Content-Disposition", "attachment; filename*=UTF-8''%C3%A9"},
			jobs.Upload{Name: "é", MediaType: "application/octet-stream"},
		},
	} {
		status, body := postFile(t, url+"/files"+c.query, "12345", c.headers...)
		if status != http.StatusCreated || !strings.Contains(body, `"expires_at":"1970-01-01T00:00:01.500Z"`) {
			t.Errorf("%s: %d %s", name, status, body)
			continue
		}
		c.want.Size = 5
		if got := <-uploads; got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestUploadsAreRefused(t *testing.T) {
	t.Parallel()
	url, _ := newUploads(t, readAll, nil)
	large := strings.Repeat("x", jobs.MaxStoredFileBytes+1)
	for name, c := range map[string]struct {
		query, content string
		headers        []string
		status         int
		part           string
	}{
		"a form": {
			"", "x", []string{"Content-Type", "multipart/form-data; boundary=a"}, 415, "must be the file itself",
		},
		"compressed":      {"", "x", []string{"Content-Encoding", "gzip"}, 415, "--data-binary @data.csv"},
		"an empty name":   {"?name=", "x", nil, 400, `\"name\" is empty`},
		"a path out":      {"?name=../a", "x", nil, 400, `the file's name \"../a\" cannot be used`},
		"a bad type":      {"", "x", []string{"Content-Type", "csv;;"}, 400, `no media type`},
		"a bad encoding":  {"", "x", []string{"Content-Type", "text/csv; name=\"\xe9\""}, 400, `no media type`},
		"a bad parameter": {"?names=a", "x", nil, 400, `did you mean \"name\"?`},
		"too large":       {"", large, nil, 413, `a stored file may have at most 16777216 bytes`},
	} {
		if status, body := postFile(t, url+"/files"+c.query, c.content, c.headers...); status != c.status ||
			!strings.Contains(body, c.part) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	full, _ := newUploads(t, func(io.Reader) error { return jobs.Errorf(jobs.CodeStorageFull, "full") }, nil)
	if status, body := postFile(t, full+"/files", "x"); status != http.StatusInsufficientStorage {
		t.Errorf("%d %s", status, body)
	}
}

// TestABrokenUploadIsTheClients sends less than it announced, and too much without announcing it.
func TestABrokenUploadIsTheClients(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 2)
	url, _ := newUploads(t, func(content io.Reader) error {
		err := readAll(content)
		failed <- err
		return errors.New("the store passes it on")
	}, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nxxx")
	if err != nil {
		t.Fatal(err)
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok || tcp.CloseWrite() != nil {
		t.Fatal("the connection cannot be half closed")
	}
	if err := <-failed; err == nil {
		t.Error("the body seemed to be whole")
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/files",
		io.MultiReader(strings.NewReader(strings.Repeat("x", jobs.MaxStoredFileBytes)), strings.NewReader("y")))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if <-failed; response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", response.StatusCode)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestStoredFilesThatAreNotThere(t *testing.T) {
	t.Parallel()
	url, _ := newUploads(t, readAll, jobs.NotFound("file"))
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
		request, err := http.NewRequestWithContext(t.Context(), method, url+"/files/"+storedID, nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if _ = response.Body.Close(); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", method, response.StatusCode)
		}
	}
}
