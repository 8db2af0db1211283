package upgrade

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"cellblock/test/stack"
)

// features are what a version of the API may not have yet.
type features struct{ tenants, storedFiles bool }

// kind is a kind of work, as a row of the table.
type kind struct {
	name string
	// has reports whether the versions of the API that accept and read the work have it; nil for all versions.
	has func(accept, read features) bool
	// byTenant reports that a tenant's party does the work.
	byTenant bool
	// do does the work once, and returns an error for anything that is not as it must be.
	do func(ctx context.Context, p *party) error
}

// kinds are all kinds. The first ones, simple of them, are also the load beside all of them.
var kinds = []kind{
	{name: "synchronous calls", do: callSync},
	{name: "asynchronous jobs", do: runAsync},
	{name: "batches", do: runBatch},
	{name: "jobs of an environment", do: runInEnvironment},
	{name: "failures and limits", do: fail},
	{name: "idempotency keys", do: repeat},
	{name: "files in and out", do: passFiles},
	{
		name: "stored files, and files that go on", do: passStoredFiles,
		has: func(accept, _ features) bool { return accept.storedFiles },
	},
	{name: "live output", do: watch},
	{name: "webhooks", do: receiveWebhook},
	{name: "cancels of waiting jobs", do: cancelWaiting},
	{name: "cancels of running jobs", do: cancelRunning},
	{name: "lists of jobs", do: list},
	{
		name: "jobs of tenants", do: runAsync, byTenant: true,
		has: func(accept, read features) bool { return accept.tenants && read.tenants },
	},
}

// simple is how many kinds from the first on are the load.
const simple = 4

const (
	// richResult is what the script of rich returns, as the service sends it.
	richResult = `{"mean":3.0,"sum":15,"text":"é","none":null,"list":[1,2.5,true]}`
	richStdout = "printed\n"
	richStderr = "warned\n"
)

// rich is a script with a result of many types and output, that takes a moment so that others wait.
func rich(p *party) string {
	return "import sys, time\ndef main():\n    " + p.ledger.line(true) + "\n    time.sleep(0.05)\n" +
		"    print('printed')\n    print('warned', file=sys.stderr)\n" +
		"    return {'mean': 3.0, 'sum': 15, 'text': 'é', 'none': None, 'list': [1, 2.5, True]}\n"
}

func (j job) isRich() error {
	if err := j.is(richResult); err != nil {
		return err
	}
	if j.Stdout != richStdout || j.Stderr != richStderr {
		return fmt.Errorf("the job %s printed %q and %q", j.ID, j.Stdout, j.Stderr)
	}
	return nil
}

func callSync(ctx context.Context, p *party) error {
	var j job
	err := p.doJSON(ctx, p.accept, post("/execute", map[string]any{"script": rich(p)}), &j,
		http.StatusOK, http.StatusAccepted)
	if err == nil && !j.ended() { // not within the time of a call
		j, err = p.await(ctx, j.ID, job.ended)
	}
	if err != nil {
		return err
	}
	return j.isRich()
}

func runAsync(ctx context.Context, p *party) error {
	id, err := p.submit(ctx, map[string]any{"script": rich(p)})
	if err != nil {
		return err
	}
	j, err := p.await(ctx, id, job.ended)
	if err != nil {
		return err
	}
	return j.isRich()
}

const environmentResult = `"` + stack.Handmade + `"`

func inEnvironment(p *party) map[string]any {
	fields := map[string]any{"script": "import " + stack.Handmade + "_module as m\ndef main():\n    " +
		p.ledger.line(true) + "\n    return m.name\n"}
	environment.AddTo(fields)
	return fields
}

func runInEnvironment(ctx context.Context, p *party) error {
	id, err := p.submit(ctx, inEnvironment(p))
	if err != nil {
		return err
	}
	return p.succeeds(ctx, id, environmentResult)
}

// runBatch runs a batch with a line that is refused, of two environments, and reads its results in parts.
func runBatch(ctx context.Context, p *party) error {
	one, refused, last := map[string]any{"script": rich(p)}, map[string]any{}, map[string]any{"script": rich(p)}
	lines := []any{one, inEnvironment(p), refused, last}
	want := []string{richResult, environmentResult, "", richResult}
	var body strings.Builder
	for _, line := range lines {
		text, _ := json.Marshal(line) // always encodes
		body.Write(append(text, '\n'))
	}
	made := post("/batches", nil)
	made.contentType, made.body = "application/x-ndjson", body.String()
	var batch struct {
		ID string `json:"batch_id"`
	}
	if err := p.doJSON(ctx, p.accept, made, &batch, http.StatusAccepted); err != nil {
		return err
	}
	read := 0
	for read < len(lines) {
		// A response that breaks off is no whole one: it is read again from there.
		text, err := p.do(ctx, p.read, get(fmt.Sprintf("/batches/%s/results?after=%d", batch.ID, read)), http.StatusOK)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			counted, err := checkItem(line, want)
			if err != nil {
				return fmt.Errorf("the batch %s: %w", batch.ID, err)
			}
			read += counted
		}
	}
	return p.checkCounts(ctx, batch.ID, len(lines))
}

// checkItem checks a line of a batch's results, and returns 1 for one that is an item. Empty ones keep the connection.
func checkItem(line string, want []string) (counted int, err error) {
	if strings.TrimSpace(line) == "" {
		return 0, nil
	}
	var item struct {
		Index *int
		Job   *job
		Code  string
	}
	if err := json.Unmarshal([]byte(line), &item); err != nil {
		return 0, fmt.Errorf("%w: %.300s", err, line)
	}
	switch {
	case item.Index == nil:
		return 0, nil // the counts at the end
	case want[*item.Index] == "":
		if item.Code != "invalid_request" {
			err = fmt.Errorf("the refused line %d is %.300s", *item.Index, line)
		}
	case item.Job == nil:
		err = fmt.Errorf("line %d is %.300s", *item.Index, line)
	default:
		err = item.Job.is(want[*item.Index])
	}
	return 1, err
}

func (p *party) checkCounts(ctx context.Context, id string, total int) error {
	var batch struct{ Counts map[string]int }
	if err := p.doJSON(ctx, p.read, get("/batches/"+id), &batch, http.StatusOK); err != nil {
		return err
	}
	c := batch.Counts
	if c["total"] != total || c["refused"] != 1 || c["succeeded"] != total-1 {
		return fmt.Errorf("the batch %s counts %v", id, c)
	}
	return nil
}
