package clients

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"cellblock/api"
	"cellblock/client"
)

func TestRunReturnsTheJob(t *testing.T) {
	job, err := newClient(t).Run(testContext(t), client.Request{
		Script: "import os, sys\ndef main(x, y):\n    print(os.environ['MODE'])\n    print('e', file=sys.stderr)\n" +
			"    return [x, y, sys.stdin.read(), open('d/in.bin', 'rb').read().hex()]\n",
		Args: map[string]any{"x": 1.5, "y": []int{1}}, Stdin: "in\n", Env: map[string]string{"MODE": "fast"},
		Files: []client.File{{Path: "d/in.bin", Content: []byte{0xff, 0}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(job.Result); got != `[1.5,[1],"in\n","ff00"]` || *job.Stdout != "fast\n" || *job.Stderr != "e\n" ||
		job.Status != api.JobStatusSucceeded {
		t.Errorf("the job is %s, %+v", got, job)
	}
	if job.CreatedAt == "" || job.StartedAt == nil || job.FinishedAt == nil {
		t.Errorf("the job has no times: %+v", job)
	}
}

// This service holds a response for one second.
func TestRunGoesOnWaiting(t *testing.T) {
	job, err := newClient(t).Run(testContext(t),
		client.Request{Script: "import time\ndef main():\n    time.sleep(1.5)\n    return 7\n"})
	if err != nil || string(job.Result) != "7" || job.StartedAt == nil {
		t.Errorf("the job is %+v, %v", job, err)
	}
}

func TestAFailedJobComesWithItsError(t *testing.T) {
	c := newClient(t)
	for name, run := range map[string]func(r client.Request) (*client.Job, error){
		"Run": func(r client.Request) (*client.Job, error) { return c.Run(testContext(t), r) },
		"Wait": func(r client.Request) (*client.Job, error) {
			job, err := c.Submit(testContext(t), r)
			if err != nil {
				return job, err
			}
			return c.Wait(testContext(t), job.JobID)
		},
	} {
		job, err := run(client.Request{Script: "def main():\n    print('before')\n    1 / 0\n"})
		var failed *client.Error
		if !errors.As(err, &failed) || job == nil {
			t.Fatalf("%s: %+v, %v", name, job, err)
		}
		if failed.Code != client.CodeException || !strings.Contains(failed.Traceback, "1 / 0") ||
			failed.Stdout != "before\n" || failed.JobID != job.JobID {
			t.Errorf("%s: the error is %+v", name, failed)
		}
		if job.Status != api.JobStatusFailed || *job.Stdout != "before\n" || job.Usage == nil || job.CreatedAt == "" ||
			job.StartedAt == nil || job.FinishedAt == nil {
			t.Errorf("%s: the job is %+v", name, job)
		}
		_, err = run(client.Request{
			Script: "import time\ndef main():\n    time.sleep(9)\n",
			Limits: client.Limits{Wall: 200 * time.Millisecond},
		})
		if !errors.As(err, &failed) || failed.Code != client.CodeTimeout || failed.Limit == nil ||
			failed.Limit.Value != 0.2 {
			t.Errorf("%s: the error is %+v", name, failed)
		}
	}
}

func TestARefusedRequest(t *testing.T) {
	c := newClient(t)
	for code, request := range map[client.Code]client.Request{
		client.CodeInvalidRequest: {Script: "def main(): pass", Priority: "urgent"},
		client.CodeScriptTooLarge: {Script: strings.Repeat("#", 60_000)},
		client.CodeInputTooLarge:  {Script: "def main(): pass", Stdin: strings.Repeat("x", 2<<20)},
	} {
		if job, err := c.Run(testContext(t), request); job != nil || client.CodeOf(err) != code {
			t.Errorf("%s: %+v, %v", code, job, err)
		}
	}
	stranger, err := client.New(service.URL, client.WithToken("another"))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Get(testContext(t), "an-id"); client.CodeOf(err) != client.CodeUnauthorized {
		t.Errorf("the error is %v", err)
	}
	if _, err := c.Get(testContext(t), "an-id"); client.CodeOf(err) != client.CodeNotFound {
		t.Errorf("the error is %v", err)
	}
}

// Files that are too large for JSON are sent as a form. The script sees no difference.
func TestFilesGoInAndComeBack(t *testing.T) {
	c := newClient(t)
	large := []byte(strings.Repeat("a\xff\r\n", 256<<10))
	job, err := c.Run(testContext(t), client.Request{
		Script: `import os
def main(name, stdin=None):
    os.makedirs("outputs/d")
    with open(name, "rb") as given, open("outputs/d/ä b#1.bin", "wb") as back:
        content = given.read()
        back.write(content[-2000:])
    return [len(content), os.environ["K"]]
`,
		Args: map[string]string{"name": `in "quotes" ä.bin`}, Env: map[string]string{"K": "v"},
		Limits: client.Limits{Wall: 5 * time.Second},
		Files:  []client.File{{Path: `in "quotes" ä.bin`, Content: large}}, InlineFiles: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if string(job.Result) != `[1048576,"v"]` || len(job.Files) != 1 || job.Files[0].ContentBase64 == nil {
		t.Fatalf("the job is %s, %+v", job.Result, job.Files)
	}
	body, err := c.File(testContext(t), job.JobID, job.Files[0].Name)
	if got := readAll(t, body, err); got != string(large[len(large)-2000:]) {
		t.Errorf("%d bytes came back as %d: %.20q", 2000, len(got), got)
	}
	if _, err := c.File(testContext(t), job.JobID, "no such file"); client.CodeOf(err) != client.CodeNotFound {
		t.Errorf("the error is %v", err)
	}
}

func TestTheSameKeyIsTheSameJob(t *testing.T) {
	c := newClient(t)
	request := client.Request{
		Script: "def main(a, b): return [a, b]", Args: map[string]int{"b": 2, "a": 1},
		IdempotencyKey: t.Name(),
	}
	first, err := c.Submit(testContext(t), request)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Submit(testContext(t), request)
	if err != nil || again.JobID != first.JobID {
		t.Errorf("the jobs are %s and %+v, %v", first.JobID, again, err)
	}
	request.Args = map[string]int{"b": 2, "a": 2}
	if _, err := c.Submit(testContext(t), request); client.CodeOf(err) != client.CodeIdempotencyMismatch {
		t.Errorf("the error is %v", err)
	}
}

// A stored file and a file of a job go into jobs, in JSON and in a form.
func TestFilesGoOn(t *testing.T) {
	c, ctx := newClient(t), testContext(t)
	stored, err := c.UploadFile(ctx, client.Upload{Name: "a.csv", Content: []byte("stored")})
	if err != nil || stored.MediaType != "text/csv" || stored.Size != 6 {
		t.Fatalf("the file is %+v, %v", stored, err)
	}
	const script = `
def main(*, paths):
    text = "".join(open(path).read() for path in paths)
    open("outputs/out.csv", "w").write(text)
    return text
`
	first, err := c.Run(ctx, client.Request{
		Script: script, Args: map[string][]string{"paths": {"a"}},
		Files: []client.File{{Path: "a", FileID: stored.FileID}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"JSON": 1, "a form": 512 << 10} {
		second, err := c.Run(ctx, client.Request{
			Script: script, Args: map[string][]string{"paths": {"a", "b"}},
			Files: []client.File{
				{Path: "a", FileID: stored.FileID},
				{Path: "large", Content: make([]byte, size)},
				{Path: "b", JobID: first.JobID, Name: "out.csv"},
			},
		})
		if err != nil || string(second.Result) != `"storedstored"` {
			t.Errorf("%s: %+v, %v", name, second, err)
		}
	}
	body, err := c.DownloadFile(ctx, stored.FileID)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if content, err := io.ReadAll(body); err != nil || string(content) != "stored" {
		t.Errorf("got %q, %v", content, err)
	}
	if err := c.DeleteFile(ctx, stored.FileID); err != nil {
		t.Error(err)
	}
	if err := c.DeleteFile(ctx, stored.FileID); client.CodeOf(err) != client.CodeNotFound {
		t.Errorf("the error is %v", err)
	}
	_, err = c.Run(ctx, client.Request{Script: script, Files: []client.File{{Path: "a", FileID: stored.FileID}}})
	if client.CodeOf(err) != client.CodeFileNotFound {
		t.Errorf("the error is %v", err)
	}
}

func TestCancelWhileItIsWaitedFor(t *testing.T) {
	c := newClient(t)
	job, err := c.Submit(testContext(t), client.Request{Script: "import time\ndef main():\n    time.sleep(12)\n"})
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.Wait(short, job.JobID); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
	if _, err := c.Cancel(testContext(t), job.JobID); err != nil {
		t.Fatal(err)
	}
	job, err = c.Wait(testContext(t), job.JobID)
	if client.CodeOf(err) != client.CodeCancelled || job.Status != api.JobStatusCancelled {
		t.Errorf("the job is %+v, %v", job, err)
	}
	if _, err := c.Cancel(testContext(t), job.JobID); err != nil {
		t.Errorf("cancelled twice: %v", err)
	}
}

func TestListReturnsAllPages(t *testing.T) {
	c := newClient(t)
	var want []string
	for range 5 {
		job, err := c.Run(testContext(t), client.Request{Script: "def main(): raise KeyError"})
		if client.CodeOf(err) != client.CodeException {
			t.Fatal(err)
		}
		want = append(want, job.JobID)
	}
	slices.Reverse(want)
	var got []string
	for job, err := range c.List(testContext(t), client.ListOptions{Status: api.JobStatusFailed, PageSize: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, job.JobID); len(got) == len(want) {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}

func TestTheServiceItself(t *testing.T) {
	c := newClient(t)
	if err := c.Health(testContext(t)); err != nil {
		t.Error(err)
	}
	if ready, err := c.Ready(testContext(t)); err != nil || ready.Workers != 1 {
		t.Errorf("ready: %+v, %v", ready, err)
	}
	body, err := c.Metrics(testContext(t))
	if text := readAll(t, body, err); !strings.Contains(text, "cellblock_workers 1") {
		t.Errorf("the metrics are %.200s", text)
	}
}
