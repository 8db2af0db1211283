package tenants

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/test/stack"
)

// secret is in all that acme has: scripts, results, output, files, displays, labels and URLs of webhooks.
const secret = "only-for-acme-73914"

// fileName and nestedName are the files that acme's job leaves.
const fileName, nestedName = "secret.txt", "sub/secret.txt"

// property is what belongs to acme.
type property struct {
	// queued, running and ended are jobs in these states, and large one with a large result. The job of a cell has a
	// display.
	queued, running, ended, large, cell string
	// many has left many files with long names, and a large one.
	many string
	// batch has ended, and open has a job that waits. batchJob is a job of batch.
	batch, open, batchJob string
	// file is a stored file, and largeFile one of a megabyte.
	file, largeFile string
}

// ids returns all ids.
func (p property) ids() (ids []string) {
	for _, id := range []string{
		p.queued, p.running, p.ended, p.large, p.cell, p.many, p.batch, p.open, p.batchJob, p.file,
		p.largeFile,
	} {
		if id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// script returns a script that prints, returns and stores the secret.
const script = `import os

def main():
    print("` + secret + `", flush=True)
    os.makedirs("outputs/sub")
    for name in ("` + fileName + `", "` + nestedName + `"):
        with open("outputs/" + name, "w") as file:
            file.write("` + secret + `")
    return "` + secret + `"
`

const (
	sleepScript = "import time\ndef main():\n    print('" + secret + "', flush=True)\n    time.sleep(290)\n"
	largeScript = "def main():\n    return '" + secret + "' * 45000\n"
	manyScript  = "import os\ndef main():\n    os.mkdir('outputs')\n    for i in range(64):\n" +
		"        name = '" + secret + "' * 10 + str(i) if i else 'large'\n" +
		"        open('outputs/' + name, 'w').write('x' * 1000000 * (not i))\n"
	cellScript = "'" + secret + "'\n"
)

// idempotencyKey is that of the ended job and of the batch.
const idempotencyKey = "order-4711"

// label is that of the ended job.
const label = "customer:" + secret

// job returns the body of a request for a job.
func job(fields map[string]any) string {
	body, err := json.Marshal(fields, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(err) // the tests' own fields
	}
	return string(body)
}

// endedBody is the request for the ended job.
func endedBody() string {
	return job(map[string]any{
		"script": script, "labels": map[string]string{"customer": secret},
		"callback_url": world.webhooks.url + "/" + secret,
	})
}

// batchBody is the request for the batch.
var batchBody = job(map[string]any{"script": script}) + "\n" +
	job(map[string]any{"script": cellScript, "entry": "cell"})

var ndjson = []string{"Content-Type", "application/x-ndjson"}

// make sends requests of acme's for what it is to have. Errors are in err.
type maker struct{ err error }

func (m *maker) create(r request, field string) string {
	if m.err != nil {
		return ""
	}
	got := world.acme.send(r)
	id := got.text(field)
	if !got.ok() || id == "" {
		m.err = fmt.Errorf("%s %s: %s", r.method, r.path, got)
	}
	return id
}

// makeProperty makes what belongs to acme.
func makeProperty(ctx context.Context) (p property, err error) {
	var m maker
	key := []string{"Idempotency-Key", idempotencyKey}
	execute := func(body string, headers ...string) string {
		return m.create(request{method: "POST", path: "/execute", body: body, headers: headers}, "job_id")
	}
	p.running = execute(job(map[string]any{"script": sleepScript, "async": true, "environment": busyEnvironment}))
	if m.err == nil {
		m.err = awaitState(ctx, p.running, "running")
	}
	p.queued = execute(waitingBody)
	p.ended = execute(endedBody(), key...)
	p.large = execute(job(map[string]any{"script": largeScript}))
	p.cell = execute(job(map[string]any{"script": cellScript, "entry": "cell"}))
	p.many = execute(job(map[string]any{"script": manyScript}))
	p.batch = m.create(request{method: "POST", path: "/batches", body: batchBody, headers: append(key, ndjson...)},
		"batch_id")
	p.open = m.create(request{method: "POST", path: "/batches", body: waitingBody, headers: ndjson}, "batch_id")
	p.file = m.create(request{method: "POST", path: "/files?name=" + secret + ".txt", body: secret}, "file_id")
	p.largeFile = m.create(request{method: "POST", path: "/files", body: strings.Repeat("x", 1<<20)}, "file_id")
	if m.err != nil {
		return p, m.err
	}
	got := world.acme.send(request{method: "GET", path: "/batches/" + p.batch + "/results"})
	if before, rest, found := strings.Cut(got.body, `"job_id":"`); found && strings.Contains(before+rest, secret) {
		p.batchJob = rest[:36]
		return p, nil
	}
	return p, fmt.Errorf("the results of the batch: %s", got)
}

// waitingBody is the request for a job that waits.
var waitingBody = job(map[string]any{
	"script": script, "async": true, "environment": busyEnvironment, "start_within": 600,
})

// awaitState waits until a job of acme's has a state.
func awaitState(ctx context.Context, id, state string) error {
	for ctx.Err() == nil {
		got := world.acme.send(request{method: "GET", path: "/jobs/" + id})
		switch got.text("status") {
		case state:
			return nil
		case "succeeded", "failed", "cancelled":
			return fmt.Errorf("the job is not %s: %s", state, got)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return ctx.Err()
}

// endJobs cancels what still runs or waits, so that the service can stop.
func endJobs(ctx context.Context) error {
	for _, status := range []string{"queued", "running"} {
		var page struct {
			Jobs []struct {
				JobID string `json:"job_id"`
			} `json:"jobs"`
		}
		got := world.operator.send(request{method: "GET", path: "/jobs?limit=200&status=" + status})
		if err := json.Unmarshal([]byte(got.body), &page); err != nil {
			return err
		}
		for _, each := range page.Jobs {
			world.operator.send(request{method: "DELETE", path: "/jobs/" + each.JobID})
		}
	}
	return ctx.Err()
}

// keySpec is a request for a key, and createdKey the response.
type keySpec struct {
	Tenant  string         `json:"tenant"`
	Scopes  []string       `json:"scopes"`
	Expires float64        `json:"expires_in_seconds,omitzero"`
	Limits  map[string]any `json:"limits,omitzero"`
}

type createdKey struct {
	Key   string `json:"key"`
	KeyID string `json:"key_id"`
}

// createKey creates a key as the operator.
func createKey(spec keySpec) (key createdKey, err error) {
	body, err := json.Marshal(spec)
	if err != nil {
		return key, err
	}
	got := world.operator.send(request{method: "POST", path: "/admin/keys", body: string(body)})
	if got.status != http.StatusCreated {
		return key, fmt.Errorf("POST /admin/keys: %s", got)
	}
	return key, json.Unmarshal([]byte(got.body), &key)
}

// message is a webhook that arrived.
type message struct {
	path   string
	header http.Header
	body   string
}

// receiver keeps the webhooks that arrive. Its owner calls close.
type receiver struct {
	url   string
	close func()

	mu       sync.Mutex
	messages []message
}

func startReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + listener.Addr().String()}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(r.receive)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	r.close = func() {
		_ = server.Close()
		serving.Wait()
	}
	return r, nil
}

func (r *receiver) receive(_ http.ResponseWriter, received *http.Request) {
	body, err := io.ReadAll(received.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, message{path: received.URL.Path, header: received.Header, body: string(body)})
}

// await returns the message that arrived at a path, or false if none has in time.
func (r *receiver) await(path string) (message, bool) {
	for deadline := time.Now().Add(stack.Scaled(20 * time.Second)); time.Now().Before(deadline); {
		r.mu.Lock()
		for _, each := range r.messages {
			if each.path == path {
				r.mu.Unlock()
				return each, true
			}
		}
		r.mu.Unlock()
		time.Sleep(20 * time.Millisecond)
	}
	return message{}, false
}
