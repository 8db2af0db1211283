package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

// fileSpeed is the throughput of files, in MB (MiB) per second of the whole way: upload, Redis and sandbox in;
// sandbox, storage and download out.
type fileSpeed struct {
	InMBPerSecond  float64 `json:"in_mb_per_second"`
	OutMBPerSecond float64 `json:"out_mb_per_second"`
}

const (
	// fileMB is the size of each transfer, and fileRounds their number in each direction.
	fileMB     = 15
	fileRounds = 10
)

const readFileScript = "import os\ndef main(): return os.path.getsize('data')\n"

const writeFilesScript = `
import os
def main(n):
    os.mkdir("outputs")
    for i in range(n):
        with open(f"outputs/{i:02}", "wb") as f:
            f.write(os.urandom(1 << 20))
`

// measureFiles subtracts the median time of the same job without files.
func measureFiles(ctx context.Context, programs stack.Programs) (_ *fileSpeed, err error) {
	s, err := stack.Start(ctx,
		stack.Config{Programs: programs, Workers: []stack.Env{{"SANDBOX": "warm", "WORKER_CONCURRENCY": "1"}}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	in, err := difference(
		func() (time.Duration, error) {
			return upload(ctx, s.URL, readFileScript, "{}", make([]byte, fileMB<<20))
		},
		func() (time.Duration, error) { return upload(ctx, s.URL, readFileScript, "{}", nil) })
	if err != nil {
		return nil, err
	}
	out, err := difference(
		func() (time.Duration, error) { return download(ctx, s.URL, fileMB) },
		func() (time.Duration, error) { return download(ctx, s.URL, 0) })
	if err != nil {
		return nil, err
	}
	return &fileSpeed{InMBPerSecond: fileMB / in.Seconds(), OutMBPerSecond: fileMB / out.Seconds()}, nil
}

// difference runs both alternately, and returns the difference of their medians.
func difference(with, without func() (time.Duration, error)) (time.Duration, error) {
	var more, less []time.Duration
	for range fileRounds {
		long, err := with()
		if err != nil {
			return 0, err
		}
		short, err := without()
		if err != nil {
			return 0, err
		}
		more, less = append(more, long), append(less, short)
	}
	slices.Sort(more)
	slices.Sort(less)
	return max(time.Microsecond, more[fileRounds/2]-less[fileRounds/2]), nil
}

// upload posts a form with one file and waits for the end of its job.
func upload(ctx context.Context, url, script, args string, content []byte) (time.Duration, error) {
	took, _, err := postForm(ctx, url, script, args, content)
	return took, err
}

func postForm(ctx context.Context, url, script, args string, content []byte) (time.Duration, []byte, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("script", script) // writing to a bytes.Buffer cannot fail
	_ = form.WriteField("args", args)
	file, _ := form.CreateFormFile("files", "data")
	_, _ = file.Write(content)
	_ = form.Close()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/execute", &body)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", form.FormDataContentType())
	began := time.Now()
	answer, err := answerOf(request)
	return time.Since(began), answer, err
}

// download runs a job that leaves n files of 1 MB each, and downloads them all.
func download(ctx context.Context, url string, n int) (time.Duration, error) {
	took, answer, err := postForm(ctx, url, writeFilesScript, fmt.Sprintf(`{"n":%d}`, n), nil)
	if err != nil {
		return 0, err
	}
	var left struct {
		Files []struct {
			URL string `json:"url"`
		} `json:"files"`
	}
	if err := json.Unmarshal(answer, &left); err != nil || len(left.Files) != n {
		return 0, fmt.Errorf("%d files came back, want %d: %w", len(left.Files), n, err)
	}
	began := time.Now()
	for _, file := range left.Files {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+file.URL, nil)
		if err != nil {
			return 0, err
		}
		if _, err := answerOf(request); err != nil {
			return 0, err
		}
	}
	return took + time.Since(began), nil
}

func answerOf(request *http.Request) ([]byte, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.500s", request.URL.Path, response.Status, answer)
	}
	return answer, err
}
