package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
)

func TestMediaType(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandler(t, stubJobs{}))
	for header, status := range map[string]int{
		"application/json": 200, "Application/JSON": 200, "application/json; charset=utf-8": 200,
		`application/json;charset="UTF-8"`: 200, "application/json; odata=verbose": 200,
		"": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415, "application/jsonx": 415,
		"application/json; charset=latin1": 415, "application/json, text/plain": 415, "application/json;;=": 415,
	} {
		got := send(t, "POST", url+"/execute", script, "Content-Type", header)
		if got.status != status {
			t.Errorf("%q: status %d, want %d", header, got.status, status)
		}
		if status == 415 && !strings.Contains(got.body, "-H 'Content-Type: application/json'") {
			t.Errorf("%q: no help for curl in %s", header, got.body)
		}
	}
	if got := post(t, url, script, "Content-Encoding", "gzip"); got.status != 415 {
		t.Errorf("gzip: %d", got.status)
	}
}

func TestCharsets(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandler(t, stubJobs{}))
	for _, charset := range []string{"utf-8", "UTF-8", `"utf-8"`, "utf8", "UTF8", "utf_8", "us-ascii"} {
		got := send(t, http.MethodPost, url+"/execute", script, "Content-Type", "application/json; charset="+charset)
		if got.status != http.StatusOK {
			t.Errorf("%s: %s", charset, got.body)
		}
	}
	for _, charset := range []string{"utf-16", "latin-1", "iso-8859-1", "utf-7"} {
		got := send(t, http.MethodPost, url+"/execute", script, "Content-Type", "application/json; charset="+charset)
		wantResponse(t, got, http.StatusUnsupportedMediaType, jobs.CodeUnsupportedMediaType)
	}
}

func TestParseWait(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "10": 10 * time.Second, "0": 0,
		"0.5": 500 * time.Millisecond, "500ms": 500 * time.Millisecond,
		"30s": maxJobWait, "31s": maxJobWait, "1h": maxJobWait, "1e300": maxJobWait, "Inf": maxJobWait,
	} {
		if got, err := parseWait(&s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "soon", "-1", "-1s", "NaN", "10 s", "-Inf", "s"} {
		if got, err := parseWait(&s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// TestMemoryForLargeBodies checks that the memory is limited, and that each body releases its part.
func TestMemoryForLargeBodies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bodies := bodyBudgets{
			large: membudget.New(maxBodyMemory, bodyMemoryTimeout),
			small: membudget.New(maxSmallBodies, bodyMemoryTimeout),
		}
		acquire := func(length, maxSize int64) (func(), error) {
			return bodies.acquire(httptest.NewRecorder(), &http.Request{ContentLength: length}, maxSize)
		}
		var releases []func()
		for range maxBodyMemory / (16 << 20) {
			release, err := acquire(16<<20, jobs.MaxFormBytes)
			if err != nil {
				t.Fatal(err)
			}
			releases = append(releases, release)
		}
		if _, err := acquire(largeBody-1, jobs.MaxFormBytes); err != nil {
			t.Errorf("a small one is refused: %v", err)
		}
		if _, err := acquire(-1, jobs.MaxRequestBytes); err == nil || jobs.CodeOf(err) != jobs.CodeUnavailable {
			t.Errorf("got %v", err)
		}
		time.AfterFunc(bodyMemoryTimeout/2, releases[0])
		release, err := acquire(-1, jobs.MaxRequestBytes)
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, release, releases[0])
		for _, release := range releases {
			release()
		}
		if !bodies.large.Idle() {
			t.Error("some of it is not released")
		}
	})
}

// storingJobs is a Jobs whose Execute calls execute with stored and with freed, which is closed once no one refers to
// the request's standard input any more.
type storingJobs struct {
	stubJobs
	execute func(stored func(), freed <-chan struct{})
}

func (s storingJobs) Execute(
	_ context.Context, request jobs.Request, _ string, _ time.Duration, stored func(),
) (jobs.Record, func(), error) {
	freed := make(chan struct{})
	runtime.AddCleanup(unsafe.StringData(request.Inputs.Stdin), func(c chan struct{}) { close(c) }, freed)
	s.execute(stored, freed)
	return succeeded("1"), func() {}, nil
}

// TestMemoryIsReleasedOnceTheJobIsStored checks that a client that waits for its job holds no memory for its body.
func TestMemoryIsReleasedOnceTheJobIsStored(t *testing.T) {
	t.Parallel()
	var h *Handler
	h = newHandler(t, storingJobs{execute: func(stored func(), freed <-chan struct{}) {
		if h.bodies.large.Idle() {
			t.Error("a large body holds no memory")
		}
		stored()
		if !h.bodies.large.Idle() {
			t.Error("the body of a stored job holds memory")
		}
		for deadline := time.Now().Add(5 * time.Second); ; {
			runtime.GC()
			select {
			case <-freed:
				return
			case <-time.After(10 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				t.Error("the inputs of a stored job are still referred to")
				return
			}
		}
	}})
	got := post(t, serve(t, h), `{"script":"def main(): pass","stdin":"`+strings.Repeat("x", largeBody)+`"}`)
	if got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A job's start deadline is the request's own or the dispatcher's, regardless of how long its client waits.
func TestStartWithinIsTheRequestsOwn(t *testing.T) {
	t.Parallel()
	var got time.Duration
	execute := func(_ context.Context, request jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
		got = request.StartWithin
		return succeeded("1"), nil
	}
	url := serve(t, newHandler(t, stubJobs{execute: execute}))
	for body, want := range map[string]time.Duration{
		`{"script":""}`:                        0,
		`{"script":"","start_within":0.5}`:     500 * time.Millisecond,
		`{"script":"","start_within":3600.00}`: time.Hour,
	} {
		wantResponse(t, post(t, url, body), 200, "")
		if got != want {
			t.Errorf("%s: the start deadline is %s, want %s", body, got, want)
		}
	}
	wantResponse(t, post(t, url, `{"script":"","start_within":3600.5}`), 400, jobs.CodeInvalidRequest)
}

func TestStartWithinInBatches(t *testing.T) {
	t.Parallel()
	batches := &stubBatches{}
	body := `{"script":"","start_within":3601}` + "\n" + `{"script":"","start_within":2}` + "\n"
	send(t, http.MethodPost, serveBatches(t, batches)+"/batches", body, "Content-Type", ndjson)
	if lines := batches.request.Items; len(lines) != 2 || lines[0].Err == nil || lines[1].Err != nil ||
		lines[1].Request.StartWithin != 2*time.Second {
		t.Errorf("got %+v", lines)
	}
}

const webhookRequest = `{"script":"","async":true,"callback_url":"https://a.example/x?token=hunter2"}`

func TestWebhookURLNeedsASecret(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	url := serve(t, newHandler(t, stubJobs{}))
	got := post(t, url, webhookRequest)
	c.check(t, http.MethodPost, url+"/execute", webhookRequest, got, true, "Content-Type", "application/json")
	wantResponse(t, got, 400, jobs.CodeInvalidRequest)
	if !strings.Contains(got.body, "CALLBACK_SECRET") || strings.Contains(got.body, "hunter2") {
		t.Error(got.body)
	}
}

func TestWebhookURLIsChecked(t *testing.T) {
	t.Parallel()
	var checked, submitted string
	h := newHandler(t, stubJobs{submit: func(_ context.Context, request jobs.Request, _ string) (string, error) {
		submitted = request.WebhookURL
		return jobID, nil
	}})
	h.webhook = func(url string) error {
		checked = url
		if strings.Contains(url, "127.0.0.1") {
			return jobs.Errorf(jobs.CodeInvalidRequest, `"callback_url" is no good`)
		}
		return nil
	}
	url := serve(t, h)
	wantResponse(t, post(t, url, webhookRequest), 202, "")
	if want := "https://a.example/x?token=hunter2"; checked != want || submitted != want {
		t.Errorf("checked %q, submitted %q", checked, submitted)
	}
	wantResponse(t, post(t, url, `{"script":"","callback_url":"http://127.0.0.1/"}`), 400, jobs.CodeInvalidRequest)
	checked = ""
	wantResponse(t, post(t, url, script), 200, "")
	if checked != "" {
		t.Errorf("checked %q", checked)
	}
}

// The same rules apply to a line of a batch, and only that line is refused.
func TestWebhookURLsInBatches(t *testing.T) {
	t.Parallel()
	batches := &stubBatches{}
	url := serveBatches(t, batches)
	send(t, http.MethodPost, url+"/batches",
		`{"script":"","callback_url":"https://a.example/"}`+"\n"+`{"script":""}`+"\n", "Content-Type", ndjson)
	if lines := batches.request.Items; len(lines) != 2 || lines[0].Err == nil ||
		!strings.Contains(lines[0].Err.Error(), "CALLBACK_SECRET") || lines[1].Err != nil {
		t.Errorf("got %+v", lines)
	}
}
