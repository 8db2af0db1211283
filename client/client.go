// Package client is a client of the Cellblock service: it runs scripts, waits for jobs, streams their events, and
// reads the files that they leave.
//
//	c, err := client.New("http://127.0.0.1:8080")
//	job, err := c.Run(ctx, client.Request{Script: script, Args: map[string]any{"n": 3}})
//
// Every refused request and every failed script is an *Error with a Code. Other failures, such as no connection or a
// cancelled context, are other errors, for which CodeOf returns "".
//
// The client retries failed connections, a full queue, too many requests, a limit of the tenant whose end is near, and
// an unavailable service. Each POST carries an Idempotency-Key, so that a retry returns the job of the first attempt.
// Every wait ends when its context is done.
package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"cellblock/api"
)

// Types of the contract.
type (
	// Job is the current state of a job.
	Job = api.Job
	// JobSummary is a job in a list.
	JobSummary = api.JobSummary
	// JobStatus is the status of a job: queued, running, succeeded, failed or cancelled.
	JobStatus = api.JobStatus
	// OutputFile is a file that a job left.
	OutputFile = api.OutputFile
	// StoredFile is a file that was uploaded for later jobs.
	StoredFile = api.StoredFile
	// Key describes a key of a tenant.
	Key = api.Key
	// NewKey is a key that was created, with the key itself.
	NewKey = api.NewKey
	// OmittedFile is a file that a job left and that exceeded a limit.
	OmittedFile = api.OmittedFile
	// Display is what a script showed, in one or more forms, the richest first.
	Display = api.Display
	// DisplayForm is a form of a display, with one of Text, File (a name in Job.Files) and JSON.
	DisplayForm = api.DisplayForm
	// OmittedDisplay is a display, or a form of one, that exceeded a limit.
	OmittedDisplay = api.OmittedDisplay
	// Batch is the current state of a batch.
	Batch = api.Batch
	// BatchAccepted is an accepted batch, with the outcome of each submitted line.
	BatchAccepted = api.BatchAccepted
	// BatchMember is the outcome of submitting one line of a batch.
	BatchMember = api.BatchMember
	// BatchResult is the result of one line of a batch.
	BatchResult = api.BatchResult
	// Environment is a named, read-only Python with packages.
	Environment = api.Environment
	// WebhookSecret is the signing secret of a tenant's webhooks.
	WebhookSecret = api.WebhookSecret
	// UsageReport is what jobs have used in a range of days.
	UsageReport = api.UsageReport
	// DayUsage is what the jobs of one tenant used that ended on one day.
	DayUsage = api.DayUsage
	// UsageTotals are the sums of several days or tenants.
	UsageTotals = api.UsageTotals
	// Activity is what happens now, and how many jobs ended in each of its minutes.
	Activity = api.Activity
	// ActivityMinute is how many jobs ended in one minute.
	ActivityMinute = api.ActivityMinute
	// Worker is a live worker, with its environments.
	Worker = api.Worker
	// WorkerEnvironment is an environment of a worker.
	WorkerEnvironment = api.WorkerEnvironment
	// JobLimits are the limits that a job has.
	JobLimits = api.JobLimits
	// Ready has the number of workers.
	Ready = api.Ready
)

const (
	// defaultAttempts is the maximum number of times that a call is sent.
	defaultAttempts = 5
	// waitAttemptsFactor multiplies the attempts of calls that wait for or follow a job that was accepted.
	waitAttemptsFactor = 3
	// initialPause and longestPause bound the pause between attempts, which doubles and varies by half, if the service
	// sends no Retry-After.
	initialPause = 250 * time.Millisecond
	maxPause     = 10 * time.Second
	// headerTimeout is the timeout for a response's header, after which the call is repeated. It is longer than the
	// service holds a response, which is a setting of the service.
	headerTimeout = 2 * time.Minute
	// idleTimeout closes a connection on which no data arrives. The service sends something every 15 seconds.
	idleTimeout = time.Minute
)

// Client calls one service. It is safe for concurrent use. Close releases its idle connections.
type Client struct {
	base     *url.URL
	http     *http.Client
	attempts int
	pauses   func() *backoff.ExponentialBackOff
	idle     time.Duration
	// authorize is a function so that printing a Client never shows the token.
	authorize func(http.Header)
}

// Option configures a client in New.
type Option func(*Client)

// WithToken sends this bearer token instead of the one in CELLBLOCK_TOKEN; "" sends none.
func WithToken(token string) Option {
	return func(c *Client) {
		c.authorize = func(header http.Header) {
			if token != "" {
				header.Set("Authorization", "Bearer "+token)
			}
		}
	}
}

// WithHTTPClient uses h, for example for a proxy or custom certificates. Its Timeout must be 0 or longer than any
// wait.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithAttempts sends a call at most n times instead of 5. Calls that wait, watch or read results make three times as
// many attempts, counted from the last response, so that they survive a restart of the service. 1 disables all
// retries.
func WithAttempts(n int) Option { return func(c *Client) { c.attempts = max(1, n) } }

// New returns a client for the service at an http or https URL, with the token in the environment variable
// CELLBLOCK_TOKEN, if it is set. It sends nothing.
func New(baseURL string, options ...Option) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(baseURL, "/"))
	if err != nil {
		// The parser's error has the whole URL, which may include a password.
		return nil, errors.New("the service's URL cannot be parsed")
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("the service's URL must be such as http://127.0.0.1:8080, not %q", base.Redacted())
	}
	c := &Client{
		base: base, http: &http.Client{Transport: transport()}, attempts: defaultAttempts, pauses: pauses,
		idle: idleTimeout,
	}
	WithToken(os.Getenv("CELLBLOCK_TOKEN"))(c)
	for _, option := range options {
		option(c)
	}
	return c, nil
}

// Close closes the idle connections. The client can still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// withMoreAttempts returns a copy of the client with more attempts, for calls that wait for a job.
func (c *Client) withMoreAttempts() *Client {
	more := *c
	if c.attempts > 1 {
		more.attempts *= waitAttemptsFactor
	}
	return &more
}

func transport() http.RoundTripper {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // replaced by the program
	}
	own := standard.Clone()
	own.ResponseHeaderTimeout = headerTimeout
	return own
}

func pauses() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: initialPause, MaxInterval: maxPause, Multiplier: 2,
		RandomizationFactor: backoff.DefaultRandomizationFactor,
	}
}
