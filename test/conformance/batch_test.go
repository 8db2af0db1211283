package conformance

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

type batch struct {
	BatchID string         `json:"batch_id"`
	Status  string         `json:"status"`
	Counts  map[string]int `json:"counts"`
	Members []struct {
		Index int    `json:"index"`
		JobID string `json:"job_id"`
		Code  string `json:"code"`
	} `json:"members"`
}

type line struct {
	Index int     `json:"index"`
	Job   *answer `json:"job"`
	Code  string  `json:"code"`
}

// curl runs curl as docs/api.md does, and returns its output.
func curl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "curl", append([]string{"-sNf", "--max-time", "60"}, args...)...)
	command.Stdin = strings.NewReader(stdin)
	out, err := command.Output()
	if err != nil {
		t.Fatalf("curl %q: %v", args, err)
	}
	return string(out)
}

func postBatch(t *testing.T, url, body string) batch {
	t.Helper()
	var b batch
	out := curl(t, body, url+"/batches", "-H", "Content-Type: application/x-ndjson", "--data-binary", "@-")
	if err := json.Unmarshal([]byte(out), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBatch runs the batch of a hundred in docs/api.md, with one invalid line.
func TestBatch(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k *kind) {
		t.Parallel()
		const n = 100
		var body strings.Builder
		for i := range n {
			if i == 33 {
				body.WriteString("{\"scrpt\": 1}\n")
				continue
			}
			fmt.Fprintf(&body, "{\"script\": \"def main(n):\\n    print(n)\\n    return n * n if n != 44 else 1 "+
				"/ 0\", \"args\": {\"n\": %d}}\n", i)
		}
		b := postBatch(t, k.standard.URL, body.String())
		if len(b.Members) != n || b.Members[33].Code != "invalid_request" || b.Counts["refused"] != 1 {
			t.Errorf("got %+v", b)
		}
		seen := map[int]bool{}
		lines := bufio.NewScanner(bytes.NewReader([]byte(curl(t, "", k.standard.URL+"/batches/"+b.BatchID+"/results"))))
		for lines.Scan() {
			var l line
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				t.Fatalf("%v: %.300s", err, lines.Text())
			}
			if seen[l.Index] {
				t.Errorf("line %d comes twice", l.Index)
			}
			seen[l.Index] = true
			switch l.Index {
			case 33:
				checkEqual(t, "code of the bad one", l.Code, "invalid_request")
			case 44:
				checkEqual(t, "code of the failed one", l.Job.Code, "exception")
			default:
				checkEqual(t, "result", string(l.Job.Result), fmt.Sprint(l.Index*l.Index))
				checkEqual(t, "stdout", *l.Job.Stdout, fmt.Sprintln(l.Index))
				checkEqual(t, "job", l.Job.JobID, b.Members[l.Index].JobID)
			}
		}
		checkEqual(t, "lines", len(seen), n)
		var ended batch
		if err := json.Unmarshal([]byte(curl(t, "", k.standard.URL+"/batches/"+b.BatchID)), &ended); err != nil {
			t.Fatal(err)
		}
		checkEqual(t, "status", ended.Status, "ended")
		checkEqual(t, "succeeded", ended.Counts["succeeded"], n-2)
	})
}

// TestBatchLeavesSlotsForSingleJobs: each job of the batch occupies a slot for long, and single jobs of each
// priority get another slot.
func TestBatchLeavesSlotsForSingleJobs(t *testing.T) {
	k := kinds[0]
	var body strings.Builder
	for range 60 {
		body.WriteString("{\"script\": \"import time\\ndef main():\\n    time.sleep(1.5)\"}\n")
	}
	b := postBatch(t, k.standard.URL, body.String())
	time.Sleep(300 * time.Millisecond)
	var took []time.Duration
	for i := range 12 {
		start := time.Now()
		a := executeWith(t, k.standard.URL, "def main(): return 1",
			map[string]any{"priority": []string{"high", "default", "low"}[i%3]})
		checkEqual(t, "status", a.HTTPStatus, http.StatusOK)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("beside a batch a job takes %s at the median, %s at most", took[6], took[11])
	if took[6] > time.Second { // otherwise it waited for a job of the batch
		t.Errorf("beside a batch a job takes %s at the median", took[6])
	}
	cancelled := curl(t, "", "-X", "DELETE", k.standard.URL+"/batches/"+b.BatchID)
	if !strings.Contains(cancelled, `"queued":0`) {
		t.Errorf("cancel: %s", cancelled)
	}
	end := curl(t, "", k.standard.URL+"/batches/"+b.BatchID+"?wait=20s")
	if !strings.Contains(end, `"status":"ended"`) {
		t.Errorf("after the cancel: %s", end)
	}
}
