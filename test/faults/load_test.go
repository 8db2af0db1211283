package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// jobCount is how many jobs each fault affects; clients is how many run at once.
	jobCount = 500
	clients  = 24
	// clientTimeout is how long a client polls for its job.
	clientTimeout = 100 * time.Second
)

// job is a client's knowledge of its job.
type job struct {
	number   int
	owner    *owner
	id       string
	accepted time.Time
	known    time.Time
	code     string // "" for success, "lost" for 404, or one of those below
	result   string
}

// Ends of jobs whose clients hung up; these did not run.
const (
	withdrawn   = "withdrawn"
	notAccepted = "not accepted"
)

// load is a set of clients that run jobs.
type load struct {
	*fixture
	url string
	// slow is how many seconds each job takes.
	slow float64
	// client is the behaviour of each client.
	client func(j *job, ctx context.Context, l *load)
	jobs   []job
	next   atomic.Int64
	ended  atomic.Int64
	all    sync.WaitGroup
	beside neighbours
}

func startLoad(ctx context.Context, b *fixture, slow float64) *load {
	return startClients(ctx, b, slow, (*job).run)
}

func startClients(ctx context.Context, b *fixture, slow float64, client func(*job, context.Context, *load)) *load {
	l := &load{fixture: b, url: b.URL, slow: slow, client: client, jobs: make([]job, jobCount)}
	for n := range l.jobs {
		// Each three jobs have three owners, in all orders.
		l.jobs[n].number, l.jobs[n].owner = n, b.owners[(n+n/len(b.owners))%len(b.owners)]
	}
	l.beside.start(ctx, b)
	for range clients {
		l.all.Go(func() {
			for {
				n := int(l.next.Add(1)) - 1
				if n >= len(l.jobs) || ctx.Err() != nil {
					return
				}
				l.client(&l.jobs[n], ctx, l)
				l.ended.Add(1)
			}
		})
	}
	return l
}

// awaitEnded waits until n jobs have ended.
func (l *load) awaitEnded(t *testing.T, n int64) {
	t.Helper()
	for deadline := time.Now().Add(clientTimeout); l.ended.Load() < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("only %d jobs have ended", l.ended.Load())
		}
	}
}

func (j *job) body(slow float64, async bool) string {
	script := fmt.Sprintf(
		"def main():\n    open('/runs', 'a').write('%d\\n')\n    import time\n"+
			"    time.sleep(%g)\n    return 'job %d'\n",
		j.number, slow, j.number)
	fields := map[string]any{"script": script, "async": async}
	if j.number%3 == 1 {
		environment.AddTo(fields)
	}
	body, _ := json.Marshal(fields)
	return string(body)
}

type answer struct {
	JobID  string `json:"job_id"`
	Status string `json:"status"`
	Result string `json:"result"`
	Code   string `json:"code"`
}

// run posts a job with an idempotency key until it is accepted, and polls it until it has ended.
// Every fourth client posts synchronously.
func (j *job) run(ctx context.Context, l *load) {
	async := j.number%4 != 0
	deadline := time.Now().Add(clientTimeout)
	for ; ; time.Sleep(100 * time.Millisecond) {
		status, a := j.owner.call(ctx, http.MethodPost, l.url+"/execute", j.body(l.slow, async), j.key())
		switch {
		case status == http.StatusOK:
			j.accept(a.JobID)
			j.end(a.Code, a.Result)
			return
		case status == http.StatusAccepted:
			j.accept(a.JobID)
			j.read(ctx, l, deadline)
			return
		case a.Code == "worker_lost":
			j.accept(a.JobID)
			j.end(a.Code, "")
			return
		case time.Now().After(deadline) || ctx.Err() != nil:
			j.code = "never accepted"
			return
		}
	}
}

// key is the idempotency key. Three owners have the same one, for different jobs.
func (j *job) key() string { return fmt.Sprintf("job-%d", j.number/(beta+1)) }

func (j *job) accept(id string) {
	j.id, j.accepted = id, time.Now()
	j.owner.publish(jobsPath, id)
}

func (j *job) read(ctx context.Context, l *load, deadline time.Time) {
	for ; time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		status, a := j.owner.call(ctx, http.MethodGet, l.url+"/jobs/"+j.id+"?wait=10s", "", "")
		switch {
		case status == http.StatusOK && a.Status != "queued" && a.Status != "running":
			j.end(a.Code, a.Result)
			return
		case status == http.StatusNotFound:
			j.end("lost", "")
			return
		}
	}
}

func (j *job) end(code, result string) { j.code, j.result, j.known = code, result, time.Now() }

// client is the operator's, for faults without a load.
var client = newOwner("operator", operatorToken).client

// call is that of the operator: it returns status 0 if there is no response.
func call(ctx context.Context, method, url, body, key string) (int, answer) {
	return (&owner{client: client}).call(ctx, method, url, body, key)
}

// losses is what Redis itself may lose through a fault.
type losses int

const (
	mayLoseNothing losses = iota
	// mayLoseQueued: jobs that have not started.
	mayLoseQueued
	// mayLoseEverything: everything, including start claims and idempotency keys.
	mayLoseEverything
)

// verify waits for the clients, checks the promises, and adds the row of the table. broken is when
// the fault ended.
func (l *load) verify(t *testing.T, runs string, broken time.Time, may losses) {
	t.Helper()
	l.all.Wait()
	l.beside.stop()
	content, err := os.ReadFile(runs)
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]int{}
	for line := range bytes.Lines(content) {
		ran[strings.TrimSpace(string(line))]++
	}
	var twice, endless, swapped, workerLost, lost int
	var slowest time.Duration
	for _, j := range l.jobs {
		n := ran[fmt.Sprint(j.number)]
		if n > 1 && may != mayLoseEverything {
			twice++
			t.Logf("job %d (%s) ran %d times, ended as %q", j.number, j.id, n, j.code)
		}
		switch {
		case j.known.IsZero():
			endless++
			t.Logf("job %d (%q) has no end: %s", j.number, j.id, j.code)
		case j.code == "lost":
			lost++
		case j.code == "worker_lost":
			workerLost++
		case (j.code == withdrawn || j.code == notAccepted) && n == 0:
		case j.code != "":
			t.Errorf("job %d (%s) ended as %s", j.number, j.id, j.code)
		case j.result != fmt.Sprintf("job %d", j.number) || n == 0:
			swapped++
			t.Logf("job %d (%s) has the result %q and ran %d times", j.number, j.id, j.result, n)
		}
		if !j.known.IsZero() && j.known.After(broken) {
			since := broken
			if j.accepted.After(since) {
				since = j.accepted
			}
			slowest = max(slowest, j.known.Sub(since))
		}
	}
	if twice+endless+swapped > 0 || lost > 0 && may == mayLoseNothing {
		t.Errorf("%d ran twice, %d without an end, %d swapped, %d lost", twice, endless, swapped, lost)
	}
	l.beside.verify(t, ran, may)
	l.settled(t)
	rowsMu.Lock()
	defer rowsMu.Unlock()
	rows = append(rows, fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f s", strings.TrimPrefix(t.Name(), "Test"),
		len(l.jobs), l.ran(ran), twice, endless, swapped, workerLost, lost, slowest.Seconds()))
}
