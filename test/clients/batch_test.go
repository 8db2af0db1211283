package clients

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"

	"cellblock/client"
)

func TestABatch(t *testing.T) {
	c := newClient(t)
	batch, err := c.SubmitBatch(testContext(t), []client.Request{
		{Script: "def main(n): return n", Args: map[string]int{"n": 0}},
		{Script: "def main(): 1 / 0"},
		{
			Script: "def main(): return open('a', 'rb').read().hex()",
			Files:  []client.File{{Path: "a", Content: []byte{0xff}}},
		},
		{Script: "def main(): pass", Priority: "high"},
	}, client.BatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if batch.Counts.Total != 4 || batch.Counts.Refused != 1 || len(batch.Members) != 4 ||
		batch.Members[3].Code != client.CodeInvalidRequest {
		t.Errorf("accepted is %+v", batch)
	}
	got := map[int]string{}
	for result, err := range c.BatchResults(testContext(t), batch.BatchID, client.ResultsOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if result.Job == nil {
			got[result.Index] = string(result.Code)
		} else {
			got[result.Index] = string(result.Job.Result) + string(result.Job.Code)
		}
	}
	for index, want := range []string{"0", "exception", `"ff"`, "invalid_request"} {
		if got[index] != want {
			t.Errorf("line %d gave %q, want %q", index, got[index], want)
		}
	}
	after := 0
	for _, err := range c.BatchResults(testContext(t), batch.BatchID, client.ResultsOptions{After: 3, NoFollow: true}) {
		if after++; err != nil {
			t.Error(err)
		}
	}
	if after != 1 {
		t.Errorf("%d lines after three", after)
	}
	ended, err := c.WaitBatch(testContext(t), batch.BatchID)
	if err != nil || !client.BatchEnded(ended) || ended.Counts.Succeeded != 2 || ended.Counts.Failed != 1 {
		t.Errorf("at last: %+v, %v", ended, err)
	}
	if _, err := c.GetBatch(testContext(t), "no-such-batch"); client.CodeOf(err) != client.CodeNotFound {
		t.Errorf("the error is %v", err)
	}
	if _, err := c.SubmitLines(testContext(t), []byte("\n\n"),
		client.BatchOptions{}); client.CodeOf(err) != client.CodeInvalidRequest {
		t.Errorf("the error is %v", err)
	}
}

func TestBrokenResultsLoseAndRepeatNothing(t *testing.T) {
	c := newClient(t)
	batch, err := c.SubmitBatch(testContext(t),
		slices.Repeat([]client.Request{{Script: "def main(): return 'x' * 500"}}, 12), client.BatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	cut := cuttingClient(t, 2, 3000)
	for result, err := range cut.BatchResults(testContext(t), batch.BatchID, client.ResultsOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, result.Index)
	}
	slices.Sort(got)
	if want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}; !slices.Equal(got, want) {
		t.Errorf("the lines are %v", got)
	}
}

const squares = `{"script": "def main(n): return n * n", "args": {"n": 2}}

{"script": "def main(n): return n * n", "args": {"n": 3}}
`

// results parses the lines that batch printed, and sorts them by index.
func results(t *testing.T, text string) (all []client.BatchResult) {
	t.Helper()
	for line := range strings.Lines(text) {
		var result client.BatchResult
		if err := json.Unmarshal([]byte(line), &result); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, result)
	}
	slices.SortFunc(all, func(a, b client.BatchResult) int { return a.Index - b.Index })
	return all
}

func TestTheCommandRunsABatch(t *testing.T) {
	got := cellblock(t, squares, "batch", "-")
	if all := results(t, got.stdout); got.status != 0 || got.stderr != "" || len(all) != 2 ||
		string(all[0].Job.Result) != "4" || string(all[1].Job.Result) != "9" {
		t.Errorf("got %+v", got)
	}
	output := filepath.Join(t.TempDir(), "results.ndjson")
	got = cellblock(t, squares+"{}\n", "batch", "-", "--output", output)
	content, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	if all := results(t, string(content)); got.status != 1 || got.stdout != "" || len(all) != 3 ||
		all[2].Code != client.CodeInvalidRequest {
		t.Errorf("got %+v, %s", got, content)
	}
	if got := cellblock(t, "\n", "batch", "-"); got.status != 2 || !strings.Contains(got.stderr, "(invalid_request)") {
		t.Errorf("got %+v", got)
	}
}

func TestABatchIsReadLater(t *testing.T) {
	id := strings.TrimSpace(cellblock(t, squares, "batch", "-", "--no-wait").stdout)
	if got := cellblock(t, "", "batch", "results", id); got.status != 0 || len(results(t, got.stdout)) != 2 {
		t.Errorf("the results are %+v", got)
	}
	got := cellblock(t, "", "batch", "get", id)
	want := "ended: 2 jobs, 0 queued, 0 running, 2 succeeded, 0 failed, 0 cancelled, 0 refused\n"
	if got.stdout != want {
		t.Errorf("got %+v", got)
	}
	if got := cellblock(t, "", "batch", "cancel", id, "--json"); got.status != 0 ||
		!strings.Contains(got.stdout, `"status":"ended"`) {
		t.Errorf("cancelled: %+v", got)
	}
}

func TestCtrlCCancelsTheBatch(t *testing.T) {
	file := write(t, "jobs.ndjson",
		"{}\n"+strings.Repeat(`{"script": "import time\ndef main(): time.sleep(12)"}`+"\n", 8))
	out, end := startCommand(t, "", "batch", file)
	out.next() // the refused line: which other job starts first is not defined
	got := end(syscall.SIGINT)
	_, id, _ := strings.Cut(got.stderr, "cancelling batch ")
	id, _, _ = strings.Cut(id, " ")
	if got.status != 130 || id == "" {
		t.Fatalf("got %+v", got)
	}
	batch, err := newClient(t).WaitBatch(testContext(t), id)
	if err != nil || batch.Counts.Cancelled != 8 {
		t.Errorf("the batch is %+v, %v", batch, err)
	}
	const counts = "0 succeeded, 0 failed, 8 cancelled, 1 refused"
	if got := cellblock(t, "", "batch", "results", id); got.status != 1 || !strings.Contains(got.stderr, counts) {
		t.Errorf("the results end with %d and %q, want %q", got.status, got.stderr, counts)
	}
}
