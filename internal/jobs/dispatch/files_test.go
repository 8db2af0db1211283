package dispatch

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

// fakeFiles resolves the stored files that it has, by id.
type fakeFiles struct {
	mu       sync.Mutex
	contents map[string]string
	// held is how many resolved files were not released.
	held int
	err  error
}

func (f *fakeFiles) Resolve(
	_ context.Context, inputs []*jobs.Inputs, _ int,
) ([]*jobs.Inputs, []error, func(), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, nil, func() {}, f.err
	}
	resolved, refused := make([]*jobs.Inputs, len(inputs)), make([]error, len(inputs))
	for i, in := range inputs {
		if resolved[i] = in; !in.Refers() {
			continue
		}
		own := jobs.Inputs{}
		for _, file := range in.Files {
			content, ok := f.contents[file.Ref.FileID]
			if !ok {
				refused[i] = jobs.MissingFile(file.Path, "nothing")
			}
			own.Files = append(own.Files, jobs.File{Path: file.Path, Content: []byte(content)})
		}
		resolved[i] = &own
	}
	f.held++
	return resolved, refused, f.release, nil
}

func (f *fakeFiles) remove(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.contents, id)
}

func referring(id string) *jobs.Inputs {
	return &jobs.Inputs{Files: []jobs.File{{Path: "a", Ref: jobs.FileRef{FileID: id}}}}
}

func newFilesReplica(t *testing.T) (*replica, *fakeFiles) {
	t.Helper()
	files := &fakeFiles{contents: map[string]string{"f": "content"}}
	t.Cleanup(func() {
		if files.held != 0 {
			t.Errorf("%d resolved files are held", files.held)
		}
	})
	return newReplica(t, redistest.Start(t), func(s *Settings) { s.Files = files }), files
}

// storedContent returns the content of a job's first input file.
func storedContent(t *testing.T, s *replica, id string) string {
	t.Helper()
	in, err := s.client.Get(t.Context(), "cellblock:{"+id+"}:inputs").Result()
	if err != nil {
		t.Fatal(err)
	}
	return in[len(in)-len("content"):]
}

func TestFilesAreReadAtAcceptance(t *testing.T) {
	t.Parallel()
	s, files := newFilesReplica(t)
	record, err := s.Submit(t.Context(), jobs.Request{Script: "x", Async: true, Inputs: referring("f")}, "r")
	if err != nil {
		t.Fatal(err)
	}
	files.remove("f")
	if got := storedContent(t, s, record.ID); got != "content" {
		t.Errorf("the job has %q", got)
	}
	_, err = s.Submit(t.Context(), jobs.Request{Script: "x", Async: true, Inputs: referring("f")}, "r")
	wantCode(t, err, jobs.CodeFileNotFound)
	files.err = errors.New("the store is away")
	_, err = s.Submit(t.Context(), jobs.Request{Script: "x", Inputs: referring("f")}, "r")
	if !errors.Is(err, files.err) {
		t.Errorf("got %v", err)
	}
	s.wantWaiting(t, 1)
	without := newReplica(t, redistest.Start(t))
	_, err = without.Submit(t.Context(), jobs.Request{Script: "x", Async: true, Inputs: referring("f")}, "r")
	wantCode(t, err, jobs.CodeInvalidRequest)
}

// TestARepeatAfterTheFileIsGone: it refers to the job of the first request.
func TestARepeatAfterTheFileIsGone(t *testing.T) {
	t.Parallel()
	s, files := newFilesReplica(t)
	s.startWorker(t, time.Minute, echo)
	request := jobs.Request{Script: "x", Inputs: referring("f"), IdempotencyKey: "k", Fingerprint: "f"}
	first, err := s.Execute(t.Context(), request, "r", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	files.remove("f")
	again, err := s.Execute(t.Context(), request, "r", 10*time.Second)
	if err != nil || again.ID != first.ID || string(again.Outcome.Result) != `"x"` {
		t.Errorf("got %+v, %v", again, err)
	}
	request.Fingerprint = "another"
	_, err = s.Execute(t.Context(), request, "r", time.Second)
	wantCode(t, err, jobs.CodeIdempotencyMismatch)
	request.IdempotencyKey = "other"
	_, err = s.Execute(t.Context(), request, "r", time.Second)
	wantCode(t, err, jobs.CodeFileNotFound)
	// The key of a request that was refused is free.
	files.contents["f"] = "content"
	if other, err := s.Execute(t.Context(), request, "r", 10*time.Second); err != nil || other.ID == first.ID {
		t.Errorf("got %+v, %v", other, err)
	}
}

// TestABoundKeyWithoutAJob: its request may be about to store the job, which then runs.
func TestABoundKeyWithoutAJob(t *testing.T) {
	t.Parallel()
	s, _ := newFilesReplica(t)
	request := jobs.Request{
		Script: "x", Async: true, Inputs: referring("gone"), IdempotencyKey: "k", Fingerprint: "f",
	}
	job, err := s.newJob(byOperator(t.Context()), request, "r")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.ReserveKey(t.Context(), job.IdempotencyKey, job.ID, "f"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Submit(t.Context(), request, "r")
	wantCode(t, err, jobs.CodeUnavailable)
}

func TestABatchWithFiles(t *testing.T) {
	t.Parallel()
	s, files := newFilesReplica(t)
	item := func(id string) jobs.ItemRequest {
		return jobs.ItemRequest{Request: jobs.Request{
			Script: "x", Async: true, Priority: jobs.PriorityBatch, Inputs: referring(id),
		}}
	}
	bad := jobs.ItemRequest{Err: jobs.Errorf(jobs.CodeInvalidRequest, "bad")}
	plain := jobs.ItemRequest{Request: jobs.Request{Script: "x", Async: true, Priority: jobs.PriorityBatch}}
	request := jobs.BatchRequest{
		Items: []jobs.ItemRequest{item("f"), item("gone"), bad, plain}, IdempotencyKey: "k", Fingerprint: "f",
	}
	first, err := s.SubmitBatch(t.Context(), request, "r")
	if err != nil || first.Counts.Queued != 2 || first.Counts.Refused != 2 {
		t.Fatalf("got %+v, %v", first, err)
	}
	if code := first.Items[1].Err.Code; code != jobs.CodeFileNotFound {
		t.Errorf("the second item was refused as %s", code)
	}
	if got := storedContent(t, s, first.Items[0].JobID); got != "content" {
		t.Errorf("the job has %q", got)
	}
	// A repeat does not refuse what was accepted.
	files.remove("f")
	again, err := s.SubmitBatch(t.Context(), request, "r")
	if err != nil || again.Counts != first.Counts || again.Items[0].JobID != first.Items[0].JobID {
		t.Errorf("got %+v, %v", again, err)
	}
}

func (f *fakeFiles) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held--
}
