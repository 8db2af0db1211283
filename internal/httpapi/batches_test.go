package httpapi

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/telemetry"
)

const batchID = "01981f3e-7c1a-7000-8000-0000000000b1"

// stubBatches is a Batches with one batch.
type stubBatches struct {
	err     error
	request jobs.BatchRequest
	after   int
	follow  bool
	results func(emit func([]jobs.ItemResult) error) error
}

func (s *stubBatches) batch(members bool) (jobs.Batch, error) {
	batch := jobs.Batch{ID: batchID, CreatedAt: created, Counts: jobs.BatchCounts{Total: 2, Refused: 1, Queued: 1}}
	if members {
		batch.Items = []jobs.AcceptedItem{{JobID: jobID}, {Err: jobs.Errorf(jobs.CodeInvalidRequest, "bad")}}
	}
	return batch, s.err
}

func (s *stubBatches) SubmitBatch(_ context.Context, request jobs.BatchRequest, _ string) (jobs.Batch, error) {
	s.request = request
	return s.batch(true)
}

func (s *stubBatches) GetBatch(context.Context, string, time.Duration) (jobs.Batch, error) {
	return s.batch(false)
}

func (s *stubBatches) CancelBatch(context.Context, string) (jobs.Batch, error) {
	batch, err := s.batch(false)
	batch.FinishedAt = created
	return batch, err
}

func (s *stubBatches) BatchResults(
	_ context.Context, _ string, after int, follow bool, _ time.Duration, emit func([]jobs.ItemResult) error,
) error {
	s.after, s.follow = after, follow
	if s.err != nil {
		return s.err
	}
	return s.results(emit)
}

func serveBatches(t *testing.T, batches Batches) string {
	t.Helper()
	logger := testLogger(t)
	h := New(stubJobs{}, Config{
		SyncWait: 15 * time.Second, Limits: jobs.DefaultLimits(), StartDeadline: time.Hour, Batches: batches,
		Metrics: telemetry.NewAPIMetrics(nil, logger), Logger: logger,
	})
	t.Cleanup(h.Drain)
	return serve(t, h)
}

func TestBatchesKeepTheContract(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, path, body, contentType string
		err                             error
		status                          int
		part                            string
		invalid                         bool
	}{
		"accepted": {
			http.MethodPost, "/batches", script + "\n{}\n", ndjson, nil, 202,
			`"members":[{"index":0,"job_id":"` + jobID + `"},{"index":1,"error":"bad","code":"invalid_request"}]`,
			false,
		},
		"no line": {http.MethodPost, "/batches", "\n\n", ndjson, nil, 400, `"invalid_request"`, false},
		"not NDJSON": {
			http.MethodPost, "/batches", script, "application/json", nil, 415, `application/x-ndjson`, true,
		},
		"too large": {
			http.MethodPost, "/batches", strings.Repeat(" ", jobs.MaxBatchBytes+1), ndjson, nil, 413,
			`"input_too_large"`, false,
		},
		"queue full": {
			http.MethodPost, "/batches", script, ndjson,
			&jobs.Error{Code: jobs.CodeQueueFull, Message: "full", RetryAfterSeconds: 3}, 429, `"queue_full"`, false,
		},
		"mismatch": {
			http.MethodPost, "/batches", script, ndjson, jobs.Errorf(jobs.CodeIdempotencyMismatch, "other"), 422,
			`"idempotency_mismatch"`, false,
		},
		"unavailable": {
			http.MethodPost, "/batches", script, ndjson, jobs.Errorf(jobs.CodeUnavailable, "away"), 503,
			`"unavailable"`, false,
		},
		"read": {
			http.MethodGet, "/batches/" + batchID, "", "", nil, 200,
			`"counts":{"total":2,"refused":1,"queued":1,"running":0,"succeeded":0,"failed":0,"cancelled":0}`, false,
		},
		"read, waiting": {
			http.MethodGet, "/batches/" + batchID + "?wait=x", "", "", nil, 400, `"invalid_request"`, false,
		},
		"read, unknown": {http.MethodGet, "/batches/x", "", "", nil, 404, `"not_found"`, false},
		"cancelled":     {http.MethodDelete, "/batches/" + batchID, "", "", nil, 200, `"status":"ended"`, false},
		"no such batch": {
			http.MethodDelete, "/batches/" + batchID, "", "", jobs.Errorf(jobs.CodeNotFound, "gone"), 404,
			`"not_found"`, false,
		},
		"results": {
			http.MethodGet, "/batches/" + batchID + "/results?after=1&follow=false", "", "",
			jobs.Errorf(jobs.CodeNotFound, "gone"), 404, `"not_found"`, false,
		},
		"results after": {
			http.MethodGet, "/batches/" + batchID + "/results?after=-1", "", "", nil, 400, `must be a number`, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := serveBatches(t, &stubBatches{err: test.err})
			var headers []string
			if test.contentType != "" {
				headers = []string{"Content-Type", test.contentType}
			}
			got := send(t, test.method, url+test.path, test.body, headers...)
			if got.status != test.status || !strings.Contains(got.body, test.part) {
				t.Errorf("got %d %.300s", got.status, got.body)
			}
			loadContract(t).check(t, test.method, url+test.path, test.body, got, !test.invalid, headers...)
		})
	}
}

func TestCreateBatchPassesTheRequestOn(t *testing.T) {
	t.Parallel()
	s := &stubBatches{}
	url := serveBatches(t, s)
	got := send(t, http.MethodPost, url+"/batches", script+"\n"+`{"script":"x","limits":{"wall_seconds":1000}}`,
		"Content-Type", ndjson, "Idempotency-Key", `"k"`)
	if got.status != http.StatusAccepted || got.header.Get("Location") != "/batches/"+batchID {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if len(s.request.Items) != 2 || s.request.Items[0].Err != nil || s.request.Items[1].Err == nil ||
		s.request.IdempotencyKey != "k" || s.request.Fingerprint == "" {
		t.Errorf("got %+v", s.request)
	}
}

func TestBatchResultsAreLines(t *testing.T) {
	t.Parallel()
	record := succeeded("[1,\n2]")
	s := &stubBatches{results: func(emit func([]jobs.ItemResult) error) error {
		if err := emit(nil); err != nil {
			return err
		}
		if err := emit(nil); err != nil {
			return err
		}
		return emit([]jobs.ItemResult{
			{Index: 1, Err: jobs.Errorf(jobs.CodeInvalidRequest, "bad")}, {Index: 0, Record: &record},
		})
	}}
	url := serveBatches(t, s)
	got := send(t, http.MethodGet, url+"/batches/"+batchID+"/results?after=7", "")
	lines := strings.Split(got.body, "\n")
	if got.status != http.StatusOK || len(lines) != 4 || lines[0] != "" ||
		lines[1] != `{"index":1,"error":"bad","code":"invalid_request"}` ||
		!strings.HasPrefix(lines[2], `{"index":0,"job":{"job_id":"`+jobID+`",`) || lines[3] != "" || s.after != 7 ||
		!s.follow {
		t.Errorf("got %d %s", got.status, got.body)
	}
	loadContract(t).check(t, http.MethodGet, url+"/batches/"+batchID+"/results?after=7", "", got, true)
	s.results = func(emit func([]jobs.ItemResult) error) error {
		if err := emit([]jobs.ItemResult{{Index: 0, Record: &record}}); err != nil {
			return err
		}
		return jobs.Errorf(jobs.CodeUnavailable, "away")
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/batches/"+batchID+"/results", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err == nil {
		t.Error("half of the results look like all of them")
	}
}

// A response to HEAD has no lines, and reading each would cost a result.
func TestHEADReadsNoBatchResults(t *testing.T) {
	t.Parallel()
	s := &stubBatches{results: func(emit func([]jobs.ItemResult) error) error { return emit(nil) }}
	got := send(t, http.MethodHead, serveBatches(t, s)+"/batches/"+batchID+"/results", "")
	if got.status != http.StatusOK || got.header.Get("Content-Type") != ndjson || s.after != jobs.MaxBatch || s.follow {
		t.Errorf("got %d, after %d, follow %t", got.status, s.after, s.follow)
	}
}
