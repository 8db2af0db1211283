package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/client"
)

// clientTimeout is how long a client tries to get its job accepted, and how long it polls for its end.
const clientTimeout = 60 * time.Second

// load is the clients and their knowledge of their jobs.
type load struct {
	url     string
	clients int
	// service is a client of url, from the package that other programs use.
	service *client.Client
	// webhooks receives the jobs' webhooks.
	webhooks *receiver
	// redis is for finding jobs whose clients received no id.
	redis redis.UniversalClient

	next  atomic.Int64
	mu    sync.Mutex
	jobs  []*job
	begun time.Time
	// recent counts ends since the last line of progress, by code.
	recent map[string]int
}

// job is a client's knowledge of its job.
type job struct {
	number int
	kind   *kind
	sync   bool
	id     string
	ended  bool
	code   string // "" for success
	result string
	// cancelled is whether its batch was cancelled.
	cancelled bool
	// problem describes a problem response that the client got; "" for none.
	problem string
}

// run lets all clients run jobs for a time, and waits for the last ends.
func (l *load) run(ctx context.Context, length time.Duration) {
	l.begun = time.Now()
	var all sync.WaitGroup
	for range l.clients {
		all.Go(func() {
			for time.Since(l.begun) < length && ctx.Err() == nil {
				j := l.newJob(pick(kinds))
				j.run(ctx, l)
				l.add(j)
			}
		})
	}
	all.Go(func() {
		for time.Since(l.begun) < length && ctx.Err() == nil {
			l.runBatch(ctx)
		}
	})
	all.Wait()
	l.service.Close()
	httpClient.CloseIdleConnections()
}

func (l *load) newJob(k *kind) *job {
	return &job{number: int(l.next.Add(1)), kind: k, sync: rand.Float64() < k.sync}
}

func (l *load) add(j *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.jobs = append(l.jobs, j)
	l.recent[j.code]++
}

// progress returns a line with the ends since the last one.
func (l *load) progress() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var codes []string
	for code, n := range l.recent {
		if code == "" {
			code = "succeeded"
		}
		codes = append(codes, fmt.Sprintf("%s %d", code, n))
	}
	slices.Sort(codes)
	clear(l.recent)
	return fmt.Sprintf("%6.0f s  %6d jobs  since: %s", time.Since(l.begun).Seconds(), len(l.jobs),
		strings.Join(codes, ", "))
}

func (j *job) run(ctx context.Context, l *load) {
	switch j.kind.act {
	case actAbandon:
		j.abandon(ctx, l)
		return
	case actHangUp:
		short, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(20))*time.Millisecond)
		j.post(short, l)
		cancel()
	case actNothing, actCancel, actRepeat, actMismatch, actPostAgainAndWait, actList, actWatch, actWebhook:
	}
	for deadline := time.Now().Add(clientTimeout); ; pause(ctx, 50*time.Millisecond) {
		status, a := j.post(ctx, l)
		if a.JobID != "" && a.Code != "unavailable" {
			j.id = a.JobID
			if status != http.StatusAccepted {
				j.end(a)
				break
			}
			j.sideAction(ctx, l)
			j.read(ctx, l.url)
			break
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			j.code = "never accepted"
			j.problem = fmt.Sprintf("refused to the end, last with %d %s", status, a.Code)
			return
		}
	}
	switch j.kind.act {
	case actRepeat, actMismatch:
		j.postAgain(ctx, l.url)
	case actWebhook:
		j.awaitWebhook(ctx, l.webhooks)
	case actNothing, actCancel, actHangUp, actAbandon, actPostAgainAndWait, actList, actWatch:
	}
}

// post posts the job under its key, so that repeating it is safe.
func (j *job) post(ctx context.Context, l *load) (int, answer) {
	r := request{Script: j.kind.body(j.number), Async: !j.sync}
	if j.kind.act == actWebhook {
		r.WebhookURL = l.webhooks.url
	}
	return execute(ctx, l.url, fmt.Sprintf("soak-%d", j.number), r)
}

// sideAction performs the kind's action while its job exists.
func (j *job) sideAction(ctx context.Context, l *load) {
	switch j.kind.act {
	case actCancel:
		pause(ctx, time.Duration(rand.IntN(60))*time.Millisecond)
		status, a := call(ctx, http.MethodDelete, l.url+"/jobs/"+j.id, nil, "")
		if status != 0 && status != http.StatusOK && status != http.StatusAccepted && a.Code != "already_finished" &&
			a.Code != "unavailable" {
			j.problem = fmt.Sprintf("DELETE: %d %s", status, a.Code)
		}
	case actList:
		status, a := call(ctx, http.MethodGet, l.url+"/jobs?limit=50", nil, "")
		if status != 0 && status != http.StatusOK && a.Code != "unavailable" {
			j.problem = fmt.Sprintf("GET /jobs: %d %s", status, a.Code)
		}
	case actWatch:
		j.watch(ctx, l.service)
	case actPostAgainAndWait:
		j.postAgainAndWait(ctx, l.url)
	case actNothing, actRepeat, actMismatch, actHangUp, actAbandon, actWebhook:
	}
}

// postAgain posts under the job's key once more: with the same body it must get the same job, with
// another a refusal.
func (j *job) postAgain(ctx context.Context, url string) {
	key := fmt.Sprintf("soak-%d", j.number)
	body := j.kind.body(j.number)
	if j.kind.act == actMismatch {
		body += "\n"
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	for range 3 {
		all.Go(func() {
			status, a := execute(ctx, url, key, request{Script: body, Async: !j.sync})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case status == 0 || a.Code == "unavailable" ||
				a.Code == "idempotency_mismatch" && body != j.kind.body(j.number):
			case a.Code == "idempotency_mismatch" || j.kind.act == actRepeat && a.JobID == j.id:
			default:
				j.problem = fmt.Sprintf("its key, used again: %d %s and the job %q, not %q", status,
					a.Code, a.JobID, j.id)
			}
		})
	}
	all.Wait()
}

// read polls the job until it has ended.
func (j *job) read(ctx context.Context, url string) {
	for deadline := time.Now().Add(clientTimeout); time.Now().Before(deadline) && ctx.Err() == nil; {
		status, a := call(ctx, http.MethodGet, url+"/jobs/"+j.id+"?wait=5s", nil, "")
		switch {
		case status == http.StatusOK && a.Status != "queued" && a.Status != "running":
			j.end(a)
			return
		case status == http.StatusNotFound:
			j.problem = "not found before its time"
			return
		case status != http.StatusOK:
			pause(ctx, 50*time.Millisecond)
		}
	}
}

func (j *job) end(a answer) {
	j.ended, j.code, j.result = true, a.Code, string(a.Result)
}

// pause blocks for d or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
