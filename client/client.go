// Package client talks to a Cellblock service: it runs scripts, waits for them,
// watches them, and reads what they left.
//
//	c, err := client.New("http://127.0.0.1:8080")
//	job, err := c.Run(ctx, client.Request{Script: script, Args: map[string]any{"n": 3}})
//
// Everything that the service refuses, and everything that went wrong with a
// script, is an *Error with a Code. What else goes wrong (no connection, a
// context that ended) is another error, for which CodeOf gives "".
//
// What can be repeated is: a connection that failed, a full queue, a service that
// is unavailable. Each POST carries an Idempotency-Key, so that a repeated one
// gives the job of the first. No wait goes on for longer than its context.
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

// The contract's own types.
type (
	// Job is a job as it stands.
	Job = api.Job
	// JobSummary is a job in a list.
	JobSummary = api.JobSummary
	// JobStatus is where a job stands.
	JobStatus = api.JobStatus
	// OutputFile is a file that a job left.
	OutputFile = api.OutputFile
	// OmittedFile is a file that a job left and that did not fit into a limit.
	OmittedFile = api.OmittedFile
	// Batch is a batch as it stands.
	Batch = api.Batch
	// BatchAccepted is a batch that was accepted, with what became of its lines.
	BatchAccepted = api.BatchAccepted
	// BatchMember is what became of one line when the batch was handed in.
	BatchMember = api.BatchMember
	// BatchResult is what became of one line of a batch.
	BatchResult = api.BatchResult
	// Ready says how many workers there are.
	Ready = api.Ready
)

const (
	// defaultAttempts is how often a call is sent in all.
	defaultAttempts = 5
	// patience is by how much more often something is asked for that has begun.
	patience = 3
	// firstPause and longestPause are between attempts, if the service asks for no
	// other; each varies by half.
	firstPause   = 250 * time.Millisecond
	longestPause = 10 * time.Second
	// answerBound is longer than the service holds an answer, which is a setting of
	// it; a call that gets none by then is repeated.
	answerBound = 2 * time.Minute
	// idleBound ends a connection on which nothing comes. The service sends
	// something every 15 seconds.
	idleBound = time.Minute
)

// Client is one service. It is safe for concurrent use. Close gives its
// connections back.
type Client struct {
	base     *url.URL
	http     *http.Client
	attempts int
	pauses   func() *backoff.ExponentialBackOff
	idle     time.Duration
	// authorize is a function, so that no way to print a Client shows the token.
	authorize func(http.Header)
}

// Option changes what New makes.
type Option func(*Client)

// WithToken sends a bearer token, instead of that in CELLBLOCK_TOKEN; "" sends none.
func WithToken(token string) Option {
	return func(c *Client) {
		c.authorize = func(header http.Header) {
			if token != "" {
				header.Set("Authorization", "Bearer "+token)
			}
		}
	}
}

// WithHTTPClient goes over another HTTP client, for a proxy or certificates of
// one's own. Its Timeout must be longer than any wait, or 0.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithAttempts sends a call n times at most, instead of 5, and what waits, watches
// or reads results three times as often, counted from the last answer: a service
// that is started anew meanwhile ends nothing. 1 repeats nothing at all.
func WithAttempts(n int) Option { return func(c *Client) { c.attempts = max(1, n) } }

// New makes a client for the service at an http or https URL. The token is that
// of the environment variable CELLBLOCK_TOKEN, if it is set. Nothing is sent yet.
func New(baseURL string, options ...Option) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(baseURL, "/"))
	if err != nil {
		// Its text has the whole URL, and with that a password.
		return nil, errors.New("the service's URL cannot be parsed")
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("the service's URL must be such as http://127.0.0.1:8080, not %q", base.Redacted())
	}
	c := &Client{base: base, http: &http.Client{Transport: transport()}, attempts: defaultAttempts, pauses: pauses, idle: idleBound}
	WithToken(os.Getenv("CELLBLOCK_TOKEN"))(c)
	for _, option := range options {
		option(c)
	}
	return c, nil
}

// Close closes the connections that are kept for the next call. The client can
// still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// patient is the client for what is waited for.
func (c *Client) patient() *Client {
	patient := *c
	if c.attempts > 1 {
		patient.attempts *= patience
	}
	return &patient
}

func transport() http.RoundTripper {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // somebody put another there
	}
	own := standard.Clone()
	own.ResponseHeaderTimeout = answerBound
	return own
}

func pauses() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: firstPause, MaxInterval: longestPause, Multiplier: 2, RandomizationFactor: backoff.DefaultRandomizationFactor,
	}
}
