package callback

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
	// recordTimeout bounds each look at the job's record.
	recordTimeout = 2 * time.Second
	// mostRetryAfter is how long a receiver may ask us to wait.
	mostRetryAfter = time.Minute
)

// wrongMessage is what is wrong if the message could not be made.
const wrongMessage = "internal"

// Records are the jobs' records. Methods fail with CodeNotFound for a job that is
// gone.
type Records interface {
	// PeekCallback gives how a job's callback stands.
	PeekCallback(ctx context.Context, id string) (jobs.Callback, error)
	// WatchCallback has somebody look whether anybody has the callback in hand,
	// after a time.
	WatchCallback(ctx context.Context, id string, after time.Duration) error
	// BeginCallback notes that an attempt begins, which takes as long as within at
	// most, and gives how the callback stands with it; one that is over is given
	// as it is.
	BeginCallback(ctx context.Context, id string, within time.Duration) (jobs.Callback, error)
	// EndCallback notes what came of it, and when the next one follows.
	EndCallback(ctx context.Context, id string, callback jobs.Callback, pause time.Duration) error
	// Hold gives the record once there is room for it if it is large, and each
	// command patience. The caller releases it.
	Hold(ctx context.Context, id string, patience time.Duration) (jobs.Record, error)
}

// Config is what New needs.
type Config struct {
	Settings Settings
	Records  Records
	// Message makes the body that tells of a job's end.
	Message func(ctx context.Context, record jobs.Record) ([]byte, error)
	// Agent is the User-Agent.
	Agent string
	// Observe is told of each attempt: what was wrong with it, "" for nothing, and
	// how the callback stands after it. Both are of small fixed sets.
	Observe func(wrong string, status jobs.CallbackStatus)
	Logger  *slog.Logger
}

// Sender sends callbacks. It is safe for concurrent use and starts no goroutines.
type Sender struct {
	Config
	guard  guard
	signer signer
	client *client
	slow   *slowHosts
	active sync.WaitGroup
}

// New makes a sender of settings that are valid and have a secret.
func New(config Config) (*Sender, error) { return newSender(config, nil) }

func newSender(config Config, resolver *net.Resolver) (*Sender, error) {
	signer, err := newSigner(config.Settings.Secret)
	if err != nil {
		return nil, err
	}
	guard := newGuard(config.Settings.Allow)
	return &Sender{
		Config: config, guard: guard, signer: signer, slow: newSlowHosts(config.Settings),
		client: newClient(guard, config.Settings.Timeout, resolver),
	}, nil
}

// Check refuses a callback_url that could never be connected to, with
// CodeInvalidRequest.
func (s *Sender) Check(callbackURL string) *jobs.Error { return s.guard.check(callbackURL) }

// Send makes the next attempt at the callback of a job that has ended, and gives
// after how long to call it again, 0 for never. An error is about the record, or
// ctx's if it ended meanwhile; the attempt may have been made.
func (s *Sender) Send(ctx context.Context, id string) (again time.Duration, err error) {
	s.active.Add(1)
	defer s.active.Done()
	callback, err := s.peek(ctx, id)
	if err == nil && !callback.Status.Over() {
		again, err = s.sendTo(ctx, id, hostOf(callback.URL))
	}
	if jobs.IsNotFound(err) {
		s.Logger.Warn("a job was forgotten before its callback was delivered", "job_id", id)
		return 0, nil
	}
	return again, err
}

// sendTo makes the attempt, unless too many are being made at hosts like that one:
// then it is put off, which is no attempt.
func (s *Sender) sendTo(ctx context.Context, id, host string) (again time.Duration, err error) {
	leave, ok := s.slow.begin(host)
	if !ok {
		again = s.Settings.Timeout/2 + rand.N(s.Settings.Timeout) //nolint:gosec // nothing depends on its being hard to guess
		return again, s.putOff(ctx, id, again)
	}
	var took time.Duration
	defer func() { leave(took) }()
	callback, record, err := s.begin(ctx, id)
	defer record.Release()
	if err != nil || callback.Status.Over() {
		return 0, err
	}
	start := time.Now()
	got := s.attempt(ctx, callback, record)
	took = time.Since(start)
	if ctx.Err() != nil && got.status == 0 {
		return 0, ctx.Err() // cut off by us; it counts as an attempt all the same
	}
	pause := s.judge(&callback, got)
	if err := s.end(ctx, id, callback, pause); err != nil {
		return 0, err
	}
	s.report(id, callback, took)
	return pause, nil
}

func (s *Sender) peek(ctx context.Context, id string) (jobs.Callback, error) {
	bounded, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return s.Records.PeekCallback(bounded, id)
}

func (s *Sender) putOff(ctx context.Context, id string, again time.Duration) error {
	bounded, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return s.Records.WatchCallback(bounded, id, again+s.Settings.Timeout+recordTimeout)
}

// Wait waits for those Sends that the queue has given up when it stopped: their
// contexts have ended, so that it is soon over. It is for after that.
func (s *Sender) Wait() { s.active.Wait() }

// begin notes that an attempt begins, and gives the record, which the caller releases
// also with an error.
func (s *Sender) begin(ctx context.Context, id string) (jobs.Callback, jobs.Record, error) {
	// First, since what cannot be read cannot be sent, and is no attempt.
	record, err := s.Records.Hold(ctx, id, recordTimeout)
	if err == nil && !record.State.Ended() {
		err = fmt.Errorf("job %s has not ended", id)
	}
	if err != nil {
		return jobs.Callback{}, record, err
	}
	bounded, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	callback, err := s.Records.BeginCallback(bounded, id, s.Settings.Timeout+recordTimeout)
	record.Callback = &callback
	return callback, record, err
}

func (s *Sender) end(ctx context.Context, id string, callback jobs.Callback, pause time.Duration) error {
	// What was answered is noted also if we are about to stop.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return s.Records.EndCallback(bounded, id, callback, pause)
}

// attempt sends the message once.
func (s *Sender) attempt(ctx context.Context, callback jobs.Callback, record jobs.Record) answer {
	body, err := s.Message(ctx, record)
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {s.Agent}}
	if err == nil {
		err = s.signer.sign(header, MessageID(record.ID), time.Now(), body)
	}
	if err != nil {
		s.Logger.Error("the message of a callback cannot be made", "job_id", record.ID, "error", err)
		return answer{wrong: wrongMessage}
	}
	return s.client.post(ctx, callback.URL, header, body)
}

// MessageID is the webhook-id of all attempts at a job's callback.
func MessageID(jobID string) string { return "msg_" + jobID }

// judge writes into callback what came of its attempt, and gives how long to wait
// for the next.
func (s *Sender) judge(callback *jobs.Callback, got answer) (pause time.Duration) {
	callback.ResponseStatus, callback.Error = got.status, got.wrong
	switch {
	case got.wrong == "":
		callback.Status = jobs.CallbackDelivered
	case got.wrong == wrongGone || callback.Attempts >= s.Settings.Attempts:
		callback.Status = jobs.CallbackFailed
	default:
		callback.Status = jobs.CallbackPending
		pause = s.Settings.basePause(callback.Attempts)
		// Many callbacks of one outage should not come back as one.
		pause += rand.N(pause/2 + 1) //nolint:gosec // nothing depends on its being hard to guess
		pause = max(pause, min(got.retryAfter, mostRetryAfter))
	}
	return pause
}

func (s *Sender) report(id string, callback jobs.Callback, took time.Duration) {
	s.Observe(callback.Error, callback.Status)
	logger := s.Logger.With("job_id", id, "host", hostOf(callback.URL), "attempt", callback.Attempts,
		"status", callback.ResponseStatus, "took_ms", took.Milliseconds())
	switch callback.Status {
	case jobs.CallbackDelivered:
		logger.Info("callback delivered")
	case jobs.CallbackFailed:
		logger.Warn("callback failed for good", "code", callback.Error)
	default:
		logger.Info("callback not delivered, to be sent again", "code", callback.Error)
	}
}

// hostOf is what may be logged of a URL.
func hostOf(callbackURL string) string {
	u, err := url.Parse(callbackURL)
	if err != nil {
		return ""
	}
	return u.Host
}
