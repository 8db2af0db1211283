package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"cellblock/internal/jobs"
)

const (
	// recordTimeout is the timeout of each access to the job's record if Redis is slow. If Redis does not respond at
	// all, the access ends sooner: see redisconn.Monitor.
	recordTimeout = 5 * time.Second
	// storeSlack is the time for recording the start and the end of an attempt, in addition to the attempt itself,
	// before another sender may make the next one.
	storeSlack = 2 * time.Second
	// readWatch is how long after a sender that reads a record has died the reaper requeues the webhook.
	readWatch = 5 * time.Second
	// maxRetryAfter is the longest Retry-After that is respected.
	maxRetryAfter = time.Minute
)

// reasonMessage is the failure reason if the message could not be created.
const reasonMessage = "internal"

// Records are the records of jobs. Methods return a *jobs.Error with CodeNotFound for a job that is gone.
type Records interface {
	// PeekWebhook returns the state of a job's webhook.
	PeekWebhook(ctx context.Context, id string) (jobs.Webhook, error)
	// WatchWebhook makes the reaper check after a time whether the webhook is still being sent or queued.
	WatchWebhook(ctx context.Context, id string, after time.Duration) error
	// BeginWebhook records the start of an attempt, which takes at most within, and returns the webhook's new state.
	// A webhook that is over is returned unchanged.
	BeginWebhook(ctx context.Context, id string, within time.Duration) (jobs.Webhook, error)
	// EndWebhook records the attempt's result, and the pause before the next one.
	EndWebhook(ctx context.Context, id string, webhook jobs.Webhook, pause time.Duration) error
	// ReadBudgeted returns a record that the caller sees. If it is large, ReadBudgeted blocks until its memory is
	// available; the caller releases it. patience is the timeout of each command.
	ReadBudgeted(
		ctx context.Context, caller jobs.Caller, id string, patience time.Duration,
	) (record jobs.Record, release func(), err error)
}

// Config has the parameters of New.
type Config struct {
	Settings Settings
	Records  Records
	// Message creates the body that reports a job's end.
	Message func(ctx context.Context, record jobs.Record) ([]byte, error)
	// Agent is the User-Agent.
	Agent string
	// Observe is called after each attempt with the failure reason, "" for success, and the webhook's new status.
	// Both are from small fixed sets.
	Observe func(failureReason string, status jobs.WebhookStatus)
	// Traces records attempts; nil records none.
	Traces Traces
	Logger *slog.Logger
}

// Traces records spans.
type Traces interface {
	// StartAttempt starts the span of an attempt at the webhook of record, in the job's trace, and adds to header what
	// lets the receiver continue the trace. It returns a context with the span. end is called once, with the status of
	// the response (0 for none) and the failure reason ("" for success).
	StartAttempt(
		ctx context.Context, record jobs.Record, header http.Header,
	) (_ context.Context, end func(status int, failureReason string))
}

// Sender sends webhooks. It is safe for concurrent use, and starts no goroutine that outlives a call.
type Sender struct {
	Config
	guard  guard
	signer tenantSigner
	client *client
	slow   *slowHosts
	active sync.WaitGroup
}

// New returns a sender. The settings must be valid and have a secret.
func New(config Config) (*Sender, error) { return newSender(config, nil) }

func newSender(config Config, resolver *net.Resolver) (*Sender, error) {
	secrets, err := parseSecrets(config.Settings.Secret)
	if err != nil {
		return nil, err
	}
	guard := newGuard(config.Settings.Allow)
	return &Sender{
		Config: config, guard: guard, slow: newSlowHosts(config.Settings),
		signer: tenantSigner{secrets, config.Settings.Generations},
		client: newClient(guard, config.Settings.Timeout, resolver),
	}, nil
}

// Check returns a *jobs.Error with CodeInvalidRequest for a callback_url that the sender could never connect to.
func (s *Sender) Check(webhookURL string) error { return s.guard.check(webhookURL) }

// Send makes the next attempt at the webhook of an ended job. It returns the time after which to call it again; 0 for
// never. An error is about the record, or is ctx's error; the attempt may have been made in that case.
func (s *Sender) Send(ctx context.Context, id string) (again time.Duration, err error) {
	s.active.Add(1)
	defer s.active.Done()
	webhook, err := s.peek(ctx, id)
	if err == nil && !webhook.Status.Over() {
		again, err = s.sendTo(ctx, id, hostOf(webhook.URL), webhook.Trace)
	}
	if jobs.CodeOf(err) == jobs.CodeNotFound {
		s.Logger.Warn("job expired before its webhook was delivered", "job_id", id)
		return 0, nil
	}
	return again, err
}

// sendTo makes the attempt. If too many attempts at slow hosts are in progress, it postpones this one, which does not
// count as an attempt.
func (s *Sender) sendTo(
	ctx context.Context, id, host string, trace jobs.TraceContext,
) (again time.Duration, err error) {
	done, ok := s.slow.Acquire(host)
	if !ok {
		again = s.Settings.Timeout/2 + rand.N(s.Settings.Timeout) //nolint:gosec // it may be guessed
		return again, s.watch(ctx, id, again+s.Settings.Timeout+storeSlack)
	}
	var took time.Duration
	defer func() { done(took) }()
	// First, so that an unreadable record does not count as an attempt.
	record, release, err := s.read(ctx, id)
	defer release()
	if err == nil && !record.State.Ended() {
		err = fmt.Errorf("job %s has not ended", id)
	}
	if err != nil {
		return 0, err
	}
	webhook, err := s.begin(ctx, id)
	record.Webhook = &webhook
	if err != nil || webhook.Status.Over() {
		return 0, err
	}
	start := time.Now()
	webhook.Trace = trace
	ctx, result := s.attempt(ctx, webhook, record)
	took = time.Since(start)
	if ctx.Err() != nil && result.status == 0 {
		return 0, ctx.Err() // cancelled by us; it still counts as an attempt
	}
	pause := s.applyResult(&webhook, result)
	if err := s.end(ctx, id, webhook, pause); err != nil {
		return 0, err
	}
	s.report(ctx, id, webhook, took)
	return pause, nil
}

func (s *Sender) peek(ctx context.Context, id string) (jobs.Webhook, error) {
	bounded, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return s.Records.PeekWebhook(bounded, id)
}

// watch makes the reaper check the webhook after a time, or at the time already scheduled, whichever is later.
func (s *Sender) watch(ctx context.Context, id string, after time.Duration) error {
	bounded, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return s.Records.WatchWebhook(bounded, id, after)
}

// Wait waits for the calls of Send that the queue abandoned when it stopped. Their contexts are done, so it returns
// soon. Call it after the queue has stopped.
func (s *Sender) Wait() { s.active.Wait() }

// read reads the record, which may wait for memory. Meanwhile it keeps the reaper from requeueing the webhook, or
// another sender would make the same attempt.
func (s *Sender) read(ctx context.Context, id string) (record jobs.Record, release func(), err error) {
	if err := s.watch(ctx, id, readWatch); err != nil {
		return jobs.Record{}, func() {}, err
	}
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-time.After(readWatch / 4):
				_ = s.watch(watching, id, readWatch) // after an error, the next one follows soon
			case <-watching.Done():
				return
			}
		}
	})
	defer watch.Wait()
	defer stop()
	return s.Records.ReadBudgeted(ctx, jobs.OperatorCaller(), id, recordTimeout) // webhooks of all tenants
}

// begin records the start of an attempt.
func (s *Sender) begin(ctx context.Context, id string) (jobs.Webhook, error) {
	bounded, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return s.Records.BeginWebhook(bounded, id, s.Settings.Timeout+storeSlack)
}

func (s *Sender) end(ctx context.Context, id string, webhook jobs.Webhook, pause time.Duration) error {
	// The result is stored even during shutdown.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return s.Records.EndWebhook(bounded, id, webhook, pause)
}

// attempt sends the message once, and returns its result and a context with its span.
func (s *Sender) attempt(
	ctx context.Context, webhook jobs.Webhook, record jobs.Record,
) (_ context.Context, result attemptResult) {
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {s.Agent}}
	if s.Traces != nil {
		var end func(status int, failureReason string)
		ctx, end = s.Traces.StartAttempt(ctx, record, header)
		defer func() { end(result.status, result.failureReason) }()
	}
	body, err := s.Message(ctx, record)
	if err == nil {
		err = s.signer.sign(header, record.Tenant, MessageID(record.ID), time.Now(), body)
	}
	if err != nil {
		s.Logger.ErrorContext(ctx, "encoding webhook message failed", "job_id", record.ID, "error", err)
		return ctx, attemptResult{failureReason: reasonMessage}
	}
	return ctx, s.client.post(ctx, webhook.URL, header, body)
}

// MessageID is the webhook-id of all attempts at a job's webhook.
func MessageID(jobID string) string { return "msg_" + jobID }

// applyResult writes the result of an attempt into webhook, and returns the pause before the next one.
func (s *Sender) applyResult(webhook *jobs.Webhook, result attemptResult) (pause time.Duration) {
	webhook.ResponseStatus, webhook.Error = result.status, result.failureReason
	switch {
	case result.failureReason == "":
		webhook.Status = jobs.WebhookDelivered
	case result.failureReason == reasonGone || webhook.Attempts >= s.Settings.Attempts:
		webhook.Status = jobs.WebhookFailed
	default:
		webhook.Status = jobs.WebhookPending
		pause = s.Settings.basePause(webhook.Attempts)
		// Spread the retries of many webhooks that failed in one outage.
		pause += rand.N(pause/2 + 1) //nolint:gosec // it may be guessed
		pause = max(pause, min(result.retryAfter, maxRetryAfter))
	}
	return pause
}

func (s *Sender) report(ctx context.Context, id string, webhook jobs.Webhook, took time.Duration) {
	s.Observe(webhook.Error, webhook.Status)
	logger := s.Logger.With("job_id", id, "host", hostOf(webhook.URL), "attempt", webhook.Attempts,
		"status", webhook.ResponseStatus, "took_ms", took.Milliseconds())
	switch webhook.Status {
	case jobs.WebhookDelivered:
		logger.InfoContext(ctx, "webhook delivered")
	case jobs.WebhookFailed:
		logger.WarnContext(ctx, "webhook failed", "code", webhook.Error)
	default:
		logger.InfoContext(ctx, "webhook attempt failed", "code", webhook.Error)
	}
}

// hostOf returns the part of a URL that may be logged.
func hostOf(webhookURL string) string {
	u, err := url.Parse(webhookURL)
	if err != nil {
		return ""
	}
	return u.Host
}
