package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"cellblock/test/stack"
)

const (
	// customerPause is the time between two rounds of a customer.
	customerPause = 700 * time.Millisecond
	// leftFile is the name of the file that a customer's job leaves.
	leftFile = "left.txt"
	// batchSize is the number of jobs in a customer's batch.
	batchSize = 3
)

// customer uses, in rounds, what POST /execute alone does not: batches of jobs with a stored file, event streams and
// output files. All customers use the same idempotency keys.
type customer struct {
	*owner
	url string

	mu sync.Mutex
	// ended is the number of its jobs with a right end; lost is what the service has forgotten.
	ended int
	lost  []string
	wrong []string
}

// run ends after the round in which stop was closed.
func (c *customer) run(ctx context.Context, stop <-chan struct{}) {
	for n := 0; ; n++ {
		c.round(ctx, n)
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-time.After(customerPause):
		}
	}
}

func (c *customer) round(ctx context.Context, n int) {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	content := fmt.Sprintf("content %d of %s", n, c.name)
	file, ok := c.upload(ctx, content)
	if !ok {
		return
	}
	batch, ok := c.submitBatch(ctx, n, file)
	if !ok {
		return
	}
	c.watch(ctx, n, content)
	c.readBatch(ctx, batch, content)
}

// again sends a request until it gets one of these statuses.
func (c *customer) again(
	ctx context.Context, method, path, contentType, body, key string, into any, statuses ...int,
) (status int) {
	var content []byte
	for ctx.Err() == nil {
		status, content = c.send(ctx, method, c.url+path, contentType, body, key)
		for _, want := range statuses {
			if status == want && json.Unmarshal(content, into) == nil {
				return status
			}
		}
		switch status {
		case http.StatusNotFound, http.StatusBadRequest, http.StatusUnprocessableEntity:
			c.problem(&c.lost, "%s %s: %d %s", method, path, status, content)
			return status
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.problem(&c.wrong, "%s %s, in the end: %d %s", method, path, status, content)
	return 0
}

func (c *customer) problem(list *[]string, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*list = append(*list, fmt.Sprintf(format, args...))
}

func (c *customer) upload(ctx context.Context, content string) (id string, ok bool) {
	var file struct {
		ID string `json:"file_id"`
	}
	status := c.again(ctx, http.MethodPost, "/files?name=f.txt", "text/plain", content, "", &file, http.StatusCreated)
	c.publish(filesPath, file.ID)
	return file.ID, status == http.StatusCreated
}

// submitBatch submits jobs that return the content of the stored file.
func (c *customer) submitBatch(ctx context.Context, n int, file string) (id string, ok bool) {
	var lines bytes.Buffer
	for i := range batchSize {
		line, _ := json.Marshal(map[string]any{ // always encodes
			"script": fmt.Sprintf("def main():\n    open('/runs', 'a').write('%s-%d-%d\\n')\n"+
				"    return open('f').read()\n", c.name, n, i),
			"files": []map[string]string{{"path": "f", "file_id": file}},
		})
		lines.Write(append(line, '\n'))
	}
	for ctx.Err() == nil {
		var batch struct {
			ID      string `json:"batch_id"`
			Members []struct {
				JobID string `json:"job_id"`
				Code  string
			}
		}
		status := c.again(ctx, http.MethodPost, "/batches", "application/x-ndjson", lines.String(),
			fmt.Sprintf("batch-%d", n), &batch, http.StatusAccepted)
		if status != http.StatusAccepted {
			return "", false
		}
		c.publish(batchesPath, batch.ID)
		refused := ""
		for _, member := range batch.Members {
			c.publish(jobsPath, member.JobID)
			refused += member.Code
		}
		if refused == "" {
			return batch.ID, true
		}
		c.problem(&c.lost, "a line of the batch %s is refused: %s", batch.ID, refused)
		time.Sleep(100 * time.Millisecond)
	}
	return "", false
}

// ending is the part of an ended job that a customer checks.
type ending struct {
	JobID  string `json:"job_id"`
	Status string `json:"status"`
	Code   string `json:"code"`
	Result string `json:"result"`
	Stdout string `json:"stdout"`
}

// end checks how a job ended. A worker that died may have ended it.
func (c *customer) end(e ending, want string) {
	switch {
	case e.Status == "succeeded" && e.Result == want:
		c.mu.Lock()
		c.ended++
		c.mu.Unlock()
	case e.Code != "worker_lost":
		c.problem(&c.wrong, "the job %s ended as %+v, want %q", e.JobID, e, want)
	}
}

// watch runs a job that prints and leaves the content, and reads its events up to the end, and the file.
func (c *customer) watch(ctx context.Context, n int, content string) {
	script := fmt.Sprintf("import os\ndef main():\n    open('/runs', 'a').write('%s-%d-w\\n')\n    print(%q)\n"+
		"    os.makedirs('outputs', exist_ok=True)\n    open('outputs/%s', 'w').write(%q)\n    return %q\n",
		c.name, n, content, leftFile, content, content)
	body, _ := json.Marshal(map[string]any{"script": script, "async": true}) // always encodes
	var job answer
	if c.again(ctx, http.MethodPost, "/execute", "application/json", string(body), fmt.Sprintf("watched-%d", n), &job,
		http.StatusAccepted) != http.StatusAccepted {
		return
	}
	c.publish(jobsPath, job.JobID)
	last, text := "", ""
	var e ending
	for ctx.Err() == nil {
		err := stack.Watch(ctx, c.client, c.url, job.JobID, last, func(event stack.Event) {
			last = event.ID
			var data struct{ Text string }
			_ = json.Unmarshal([]byte(event.Data), &data)
			text += data.Text
			_ = json.Unmarshal([]byte(event.Data), &e)
		})
		if err == nil {
			break
		}
		if status, _ := c.call(ctx, http.MethodGet, c.url+jobsPath+job.JobID, "", ""); status == http.StatusNotFound {
			c.problem(&c.lost, "the job %s", job.JobID)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.end(e, content)
	if e.Status == "succeeded" {
		c.download(ctx, job.JobID, text, content)
	}
}

// download compares what was printed and left with the content.
func (c *customer) download(ctx context.Context, id, printed, content string) {
	path := jobsPath + id + "/files/" + leftFile
	for ctx.Err() == nil {
		status, left := c.send(ctx, http.MethodGet, c.url+path, "", "", "")
		switch {
		case status == http.StatusOK && string(left) == content && printed == content+"\n":
			return
		case status == http.StatusOK:
			c.problem(&c.wrong, "the job %s printed %q and left %q, want %q", id, printed, left, content)
			return
		case status == http.StatusNotFound:
			c.problem(&c.lost, "%s: %s", path, left)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.problem(&c.wrong, "GET %s has no answer", path)
}

// readBatch reads the results of a batch, and resumes after a lost connection.
func (c *customer) readBatch(ctx context.Context, id, content string) {
	read := 0
	for ctx.Err() == nil && read < batchSize {
		url := fmt.Sprintf("%s%s%s/results?after=%d", c.url, batchesPath, id, read)
		status, lines := c.send(ctx, http.MethodGet, url, "", "", "")
		if status == http.StatusNotFound {
			c.problem(&c.lost, "the batch %s", id)
			return
		}
		if status != http.StatusOK && status != 0 {
			lines = nil
		}
		for line := range bytes.Lines(lines) {
			var result struct {
				Job  ending
				Code string
			}
			// The response of a server that died ends within a line.
			if json.Unmarshal(line, &result) != nil || result.Job.JobID == "" && result.Code == "" {
				break
			}
			read++
			if result.Code != "" {
				c.problem(&c.lost, "a result of the batch %s: %s", id, line)
			} else {
				c.end(result.Job, content)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	if read < batchSize {
		c.problem(&c.wrong, "the batch %s has %d results in the end", id, read)
	}
}
