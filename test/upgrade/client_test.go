package upgrade

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// front is the API replicas that take requests, as a load balancer knows them. It is safe for concurrent use.
type front struct {
	mu   sync.Mutex
	urls []string
	next int
}

func newFront(urls ...string) *front { return &front{urls: urls} }

// url returns the replicas in turn.
func (f *front) url() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	return f.urls[f.next%len(f.urls)]
}

func (f *front) add(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.urls = append(f.urls, url)
}

func (f *front) remove(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.urls = slices.DeleteFunc(f.urls, func(one string) bool { return one == url })
}

// party is a client: it makes jobs at the replicas of accept, and reads and cancels them at those of read.
type party struct {
	accept, read *front
	client       *http.Client
	ledger       *ledger
	hooks        *receiver
}

func newParty(accept, read *front, token string, runs *ledger, hooks *receiver) *party {
	return &party{accept: accept, read: read, ledger: runs, hooks: hooks, client: &http.Client{
		Timeout: 30 * time.Second, Transport: bearer{token, &http.Transport{MaxIdleConnsPerHost: 64}},
	}}
}

// bearer is a transport that adds a token to requests.
type bearer struct {
	token string
	base  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+b.token)
	return b.base.RoundTrip(request)
}

// request is a request, without the replica that it goes to. It is safe to repeat: what makes jobs has a key.
type request struct{ method, path, contentType, body, key string }

func post(path string, fields any) request {
	body, _ := json.Marshal(fields) // always encodes
	return request{http.MethodPost, path, "application/json", string(body), uuid.NewString()}
}

func get(path string) request { return request{method: http.MethodGet, path: path} }

// job is the part of a job that is compared.
type job struct {
	ID     string          `json:"job_id"`
	Status string          `json:"status"`
	Code   string          `json:"code"`
	Error  string          `json:"error"`
	Result json.RawMessage `json:"result"`
	Stdout string          `json:"stdout"`
	Stderr string          `json:"stderr"`
}

func (j job) ended() bool { return j.Status != "queued" && j.Status != "running" }

// do sends a request, again while no replica answers or none takes it now, and returns the body of a response with one
// of the statuses. Any other response is an error.
func (p *party) do(ctx context.Context, at *front, r request, statuses ...int) ([]byte, error) {
	for {
		status, body := p.send(ctx, at.url(), r)
		if slices.Contains(statuses, status) {
			return body, nil
		}
		var of job
		_ = json.Unmarshal(body, &of)
		later := status == 0 || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
		if !later || of.ID != "" {
			return nil, fmt.Errorf("%s %s: %d %.300s", r.method, r.path, status, body)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s %s, at last %d %.300s: %w", r.method, r.path, status, body, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// send returns status 0 if there is no whole response.
func (p *party) send(ctx context.Context, url string, r request) (status int, body []byte) {
	sent, err := http.NewRequestWithContext(ctx, r.method, url+r.path, strings.NewReader(r.body))
	if err != nil {
		return 0, nil
	}
	if r.contentType != "" {
		sent.Header.Set("Content-Type", r.contentType)
	}
	if r.key != "" {
		sent.Header.Set("Idempotency-Key", r.key)
	}
	response, err := p.client.Do(sent)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	if body, err = io.ReadAll(response.Body); err != nil {
		return 0, body
	}
	return response.StatusCode, body
}

// doJSON is do, and decodes the body into answer.
func (p *party) doJSON(ctx context.Context, at *front, r request, answer any, statuses ...int) error {
	body, err := p.do(ctx, at, r, statuses...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("%s %s: %w: %.300s", r.method, r.path, err, body)
	}
	return nil
}

// submit makes an asynchronous job.
func (p *party) submit(ctx context.Context, fields map[string]any) (id string, err error) {
	fields["async"] = true
	var j job
	err = p.doJSON(ctx, p.accept, post("/execute", fields), &j, http.StatusAccepted)
	return j.ID, err
}

// await reads a job until is returns true.
func (p *party) await(ctx context.Context, id string, is func(job) bool) (j job, err error) {
	for {
		if err := p.doJSON(ctx, p.read, get("/jobs/"+id+"?wait=1s"), &j, http.StatusOK); err != nil || is(j) {
			return j, err
		}
		if ctx.Err() != nil {
			return j, fmt.Errorf("the job %s is %s: %w", id, j.Status, ctx.Err())
		}
	}
}

// succeeds awaits the end of a job, which must have this result.
func (p *party) succeeds(ctx context.Context, id, result string) error {
	j, err := p.await(ctx, id, job.ended)
	if err != nil {
		return err
	}
	return j.is(result)
}

func (j job) is(result string) error {
	if j.Status != "succeeded" || string(j.Result) != result {
		return fmt.Errorf("the job %s ended as %s %s (%s) with the result %s, want %s",
			j.ID, j.Status, j.Code, j.Error, j.Result, result)
	}
	return nil
}
