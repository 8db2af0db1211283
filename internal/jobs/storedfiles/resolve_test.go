package storedfiles

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/files"
)

// leave stores a job that left files, and returns its id.
func (k *keeperFixture) leave(t *testing.T, outputs ...jobs.OutputFile) string {
	t.Helper()
	id := k.queue(t)
	for i := range outputs {
		outputs[i].Size = int64(len(outputs[i].Content))
	}
	if err := k.contents.Put(t.Context(), id, outputs, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := k.records.ClaimStart(t.Context(), id, "t", "w", time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := k.records.End(t.Context(), id, jobs.Outcome{Result: []byte("1"), Files: outputs}); err != nil {
		t.Fatal(err)
	}
	return id
}

// queue stores a job that is queued.
func (k *keeperFixture) queue(t *testing.T) string {
	t.Helper()
	job := jobs.Job{Tenant: jobs.Operator, ID: jobs.NewID(), Script: "x", StartWithin: time.Hour, TTL: time.Hour}
	if err := k.records.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	return job.ID
}

func resolveOne(t *testing.T, r *Resolver, in *jobs.Inputs) (*jobs.Inputs, error) {
	t.Helper()
	resolved, refused, release, err := r.Resolve(asOperator(t.Context()), []*jobs.Inputs{in}, jobs.MaxFilesBytes)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if !r.memory.Idle() {
		t.Error("memory is still held")
	}
	return resolved[0], refused[0]
}

func TestReferencesAreResolved(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, usual)
	r := NewResolver(k.Keeper)
	stored := k.upload(t, "stored")
	job := k.leave(t, jobs.OutputFile{Name: "a/b.csv", Content: []byte("left")}, jobs.OutputFile{Name: "empty"})
	in := &jobs.Inputs{Stdin: "in", Files: []jobs.File{
		{Path: "sent", Content: []byte("sent")},
		{Path: "1", Ref: jobs.FileRef{FileID: stored.ID}},
		{Path: "2", Ref: jobs.FileRef{JobID: job, Name: "a/b.csv"}},
		{Path: "3", Ref: jobs.FileRef{JobID: strings.ToUpper(job), Name: "empty"}},
		{Path: "4", Ref: jobs.FileRef{FileID: stored.ID}},
	}}
	got, refused := resolveOne(t, r, in)
	if refused != nil {
		t.Fatal(refused)
	}
	var contents []string
	for _, file := range got.Files {
		if file.Ref != (jobs.FileRef{}) {
			t.Errorf("%s still refers to %+v", file.Path, file.Ref)
		}
		contents = append(contents, file.Path+"="+string(file.Content))
	}
	if all := strings.Join(contents, " "); all != "sent=sent 1=stored 2=left 3= 4=stored" || got.Stdin != "in" {
		t.Errorf("got %s", all)
	}
	if !in.Refers() || in.Files[1].Content != nil {
		t.Error("the request's own inputs were changed")
	}
	if same, _ := resolveOne(t, r, nil); same != nil {
		t.Error("inputs were made of none")
	}
}

func TestMissingFilesAreNamed(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, usual)
	r := NewResolver(k.Keeper)
	job, queued, deleted := k.leave(t, jobs.OutputFile{Name: "a"}), k.queue(t), k.upload(t, "x")
	swept := k.leave(t, jobs.OutputFile{Name: "a", Content: []byte("x")})
	if _, err := k.contents.Sweep(t.Context(), time.Now().Add(90*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := k.Delete(asOperator(t.Context()), deleted.ID); err != nil {
		t.Fatal(err)
	}
	for what, ref := range map[string]jobs.FileRef{
		"a stored file that does not exist or has expired": {FileID: deleted.ID},
		"a stored file that does not exist":                {FileID: "f_none"},
		"a file of a job that does not exist":              {JobID: jobs.NewID(), Name: "a"},
		"a file of a job that does not exist or":           {JobID: "none", Name: "a"},
		"a file of a job that does not exist or has":       {JobID: swept, Name: "a"},
		"a file that its job did not leave":                {JobID: job, Name: "b"},
		"a file of a job that has not ended yet":           {JobID: queued, Name: "a"},
	} {
		_, refused := resolveOne(t, r, &jobs.Inputs{Files: []jobs.File{{Path: "in.csv", Ref: ref}}})
		wantCode(t, refused, jobs.CodeFileNotFound)
		if refused == nil || !strings.Contains(refused.Error(), `"files": "in.csv" refers to `+what) {
			t.Errorf("%+v: got %v, want %s", ref, refused, what)
		}
	}
}

// TestSizesCount: files that a request refers to count as if they were sent.
func TestSizesCount(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, usual)
	r := NewResolver(k.Keeper)
	large := jobs.FileRef{FileID: k.upload(t, strings.Repeat("x", 9<<20)).ID}
	twice := &jobs.Inputs{Files: []jobs.File{{Path: "a", Ref: large}, {Path: "b", Ref: large}}}
	once := &jobs.Inputs{Files: []jobs.File{{Path: "a", Ref: large}}}
	_, refused := resolveOne(t, r, twice)
	wantCode(t, refused, jobs.CodeInputTooLarge)
	_, refused = resolveOne(t, r, &jobs.Inputs{Files: []jobs.File{
		{Path: "a", Ref: large}, {Path: "b", Content: make([]byte, 7<<20+1)},
	}})
	wantCode(t, refused, jobs.CodeInputTooLarge)
	// Of a batch, jobs that are refused do not count.
	resolved, each, release, err := r.Resolve(asOperator(t.Context()), []*jobs.Inputs{once, twice, nil, once}, 18<<20)
	if err != nil || each[0] != nil || each[1] == nil || each[3] != nil {
		t.Fatalf("got %v, %v", each, err)
	}
	if first, last := resolved[0].Files[0].Content, resolved[3].Files[0].Content; &first[0] != &last[0] {
		t.Error("the file was read twice")
	}
	release()
	both := []*jobs.Inputs{once, once}
	_, _, _, err = r.Resolve(asOperator(t.Context()), both, 18<<20-1) //nolint:dogsled // refused as a whole
	wantCode(t, err, jobs.CodeInputTooLarge)
	if !r.memory.Idle() {
		t.Error("memory is still held")
	}
}

// TestDeletedMeanwhile deletes the content of a file between its lookup and its read.
func TestDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, usual)
	file := k.upload(t, "x")
	if err := k.contents.Delete(t.Context(), file.Key); err != nil {
		t.Fatal(err)
	}
	_, refused := resolveOne(t, NewResolver(k.Keeper),
		&jobs.Inputs{Files: []jobs.File{{Path: "a", Ref: jobs.FileRef{FileID: file.ID}}}})
	wantCode(t, refused, jobs.CodeFileNotFound)
}

// TestMemoryIsBounded: a request waits while others hold the memory.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, usual)
	r := NewResolver(k.Keeper)
	in := []*jobs.Inputs{{Files: []jobs.File{{Path: "a", Ref: jobs.FileRef{FileID: k.upload(t, "x").ID}}}}}
	hold, ok := r.memory.Acquire(t.Context(), resolveMemory)
	if !ok {
		t.Fatal("no memory")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := r.Resolve(asOperator(ctx), in, jobs.MaxFilesBytes); err == nil { //nolint:dogsled // it fails
		t.Error("a request was resolved after its end")
	}
	resolved := make(chan error, 1)
	go func() {
		_, _, release, err := r.Resolve(asOperator(t.Context()), in, jobs.MaxFilesBytes)
		release()
		resolved <- err
	}()
	select {
	case err := <-resolved:
		t.Errorf("it did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	hold()
	if err := <-resolved; err != nil {
		t.Error(err)
	}
}

// TestASilentStoreIsNotWaitedFor: the store of the contents takes connections, and answers nothing.
func TestASilentStoreIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, usual)
	in := []*jobs.Inputs{{Files: []jobs.File{{Path: "a", Ref: jobs.FileRef{FileID: k.upload(t, "x").ID}}}}}
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	contents := files.New(files.Settings{
		URL: "s3://b?region=us-east-1&anonymous=true&use_path_style=true&endpoint=http://" + silent.Addr().String(),
	})
	t.Cleanup(func() { _ = contents.Close() })
	r := NewResolver(NewKeeper(k.records, contents, usual))
	r.timeout = 300 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, _, _, err = r.Resolve(asOperator(ctx), in, jobs.MaxFilesBytes) //nolint:dogsled // it fails
	wantCode(t, err, jobs.CodeUnavailable)
	if err == nil || !strings.Contains(err.Error(), "could not be read in time") {
		t.Errorf("got %v", err)
	}
	if !r.memory.Idle() {
		t.Error("memory is still held")
	}
}
