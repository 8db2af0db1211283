package upgrade

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"cellblock/test/stack"
)

// fail runs a job that raises an exception, and one that goes over its wall time.
func fail(ctx context.Context, p *party) error {
	for code, lines := range map[string]string{"exception": "raise ValueError('no')", "timeout": "while True: pass"} {
		id, err := p.submit(ctx, map[string]any{
			"script": "def main():\n    " + p.ledger.line(true) + "\n    " + lines + "\n",
			"limits": map[string]any{"wall_seconds": 1},
		})
		if err != nil {
			return err
		}
		j, err := p.await(ctx, id, job.ended)
		if err != nil {
			return err
		}
		if j.Status != "failed" || j.Code != code || j.Error == "" {
			return fmt.Errorf("the job %s ended as %s %s (%s), want %s", id, j.Status, j.Code, j.Error, code)
		}
	}
	return nil
}

// repeat sends a request where jobs are accepted, and again where they are read.
func repeat(ctx context.Context, p *party) error {
	made := post("/execute", map[string]any{"script": rich(p), "async": true})
	var first, second job
	if err := p.doJSON(ctx, p.accept, made, &first, http.StatusAccepted); err != nil {
		return err
	}
	if err := p.doJSON(ctx, p.read, made, &second, http.StatusAccepted); err != nil {
		return err
	}
	if first.ID != second.ID {
		return fmt.Errorf("the request made %s, and repeated %s", first.ID, second.ID)
	}
	return p.succeeds(ctx, first.ID, richResult)
}

// passFiles passes the content of a file through a job to a file that it leaves.
func passFiles(ctx context.Context, p *party) error {
	const content = "a,b\n1,2\n"
	id, err := p.leave(ctx, map[string]any{"path": "in/a.csv", "content": content})
	if err != nil {
		return err
	}
	left, err := p.do(ctx, p.read, get("/jobs/"+id+"/files/out.csv"), http.StatusOK)
	if err == nil && string(left) != content {
		err = fmt.Errorf("the job %s left %q, want %q", id, left, content)
	}
	return err
}

// leave runs a job that copies an input file to outputs/out.csv, and returns its id after its end.
func (p *party) leave(ctx context.Context, file map[string]any) (id string, err error) {
	id, err = p.submit(ctx, map[string]any{
		"script": "import shutil\ndef main():\n    " + p.ledger.line(true) +
			"\n    return shutil.copy('in/a.csv', 'outputs/out.csv')\n",
		"files": []any{file},
	})
	if err != nil {
		return "", err
	}
	return id, p.succeeds(ctx, id, `"outputs/out.csv"`)
}

// passStoredFiles uploads a file for a job, whose file is that of a second job.
func passStoredFiles(ctx context.Context, p *party) error {
	const content = "stored\n"
	var file struct {
		ID string `json:"file_id"`
	}
	upload := request{method: http.MethodPost, path: "/files?name=a.csv", contentType: "text/csv", body: content}
	if err := p.doJSON(ctx, p.accept, upload, &file, http.StatusCreated); err != nil {
		return err
	}
	first, err := p.leave(ctx, map[string]any{"path": "in/a.csv", "file_id": file.ID})
	if err != nil {
		return err
	}
	second, err := p.leave(ctx, map[string]any{"path": "in/a.csv", "job_id": first, "name": "out.csv"})
	if err != nil {
		return err
	}
	left, err := p.do(ctx, p.read, get("/jobs/"+second+"/files/out.csv"), http.StatusOK)
	if err == nil && string(left) != content {
		err = fmt.Errorf("the job %s left %q, want %q", second, left, content)
	}
	return err
}

// watch reads what a job prints while it runs, and resumes at another replica when the stream breaks off.
func watch(ctx context.Context, p *party) error {
	id, err := p.submit(ctx, map[string]any{"script": "import time\ndef main():\n    " + p.ledger.line(true) +
		"\n    for i in range(20):\n        print('line', i)\n        time.sleep(0.05)\n"})
	if err != nil {
		return err
	}
	want := ""
	for i := range 20 {
		want += fmt.Sprintln("line", i)
	}
	text, last := "", ""
	for {
		err := stack.Watch(ctx, p.client, p.read.url(), id, last, func(event stack.Event) {
			last = event.ID
			var data struct{ Text string }
			if json.Unmarshal([]byte(event.Data), &data) == nil {
				text += data.Text
			}
		})
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the events of %s after %s: %w", id, last, err)
		}
		time.Sleep(20 * time.Millisecond) // between two connections
	}
	j, err := p.await(ctx, id, job.ended)
	if err == nil && (text != want || j.Stdout != want) {
		err = fmt.Errorf("the job %s printed %q, and live %q", id, j.Stdout, text)
	}
	if err != nil {
		return err
	}
	return j.is("null")
}

func receiveWebhook(ctx context.Context, p *party) error {
	id, err := p.submit(ctx, map[string]any{"script": rich(p), "callback_url": p.hooks.url})
	if err != nil {
		return err
	}
	for p.hooks.received(id) == "" {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the webhook of %s: %w", id, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	if status := p.hooks.received(id); status != "succeeded" {
		return fmt.Errorf("the webhook of %s has the status %s", id, status)
	}
	return p.succeeds(ctx, id, richResult)
}

func cancelWaiting(ctx context.Context, p *party) error {
	id, err := p.submit(ctx, map[string]any{"script": sleeper(p)})
	if err != nil {
		return err
	}
	return p.cancel(ctx, id)
}

func cancelRunning(ctx context.Context, p *party) error {
	id, err := p.submit(ctx, map[string]any{"script": sleeper(p)})
	if err != nil {
		return err
	}
	if _, err := p.await(ctx, id, func(j job) bool { return j.Status != "queued" }); err != nil {
		return err
	}
	return p.cancel(ctx, id)
}

// sleeper sleeps for longer than a cancel takes.
func sleeper(p *party) string {
	return "import time\ndef main():\n    " + p.ledger.line(false) + "\n    time.sleep(14)\n"
}

func (p *party) cancel(ctx context.Context, id string) error {
	cancel := request{method: http.MethodDelete, path: "/jobs/" + id}
	if _, err := p.do(ctx, p.read, cancel, http.StatusOK, http.StatusAccepted); err != nil {
		return err
	}
	j, err := p.await(ctx, id, job.ended)
	if err == nil && (j.Status != "cancelled" || j.Code != "cancelled") {
		err = fmt.Errorf("the cancelled job %s ended as %s %s (%s)", id, j.Status, j.Code, j.Error)
	}
	return err
}

// list looks for a job among the newest ones.
func list(ctx context.Context, p *party) error {
	id, err := p.submit(ctx, map[string]any{"script": rich(p)})
	if err != nil {
		return err
	}
	var page struct{ Jobs []job }
	if err := p.doJSON(ctx, p.read, get("/jobs?limit=200"), &page, http.StatusOK); err != nil {
		return err
	}
	for _, j := range page.Jobs {
		if j.ID == id {
			return p.succeeds(ctx, id, richResult)
		}
	}
	return fmt.Errorf("the job %s is not in the list", id)
}
