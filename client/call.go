package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	jsonType = "application/json"
	// maxAnswerBytes bounds an answer that is held whole. The service's own bounds
	// are far below, and settings.
	maxAnswerBytes = 256 << 20
)

// call is one request of the contract, which can be sent any number of times.
type call struct {
	method string
	// path are its elements, not escaped.
	path   []string
	query  url.Values
	header http.Header
	body   []byte
}

// fetch makes a call and decodes its answer. It gives the HTTP status.
func (c *Client) fetch(ctx context.Context, call call, answer any) (status int, err error) {
	err = c.persist(ctx, func() error {
		response, err := c.send(ctx, call)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		status = response.StatusCode
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
		if err != nil {
			return fmt.Errorf("the answer broke off: %w", err)
		}
		if err := decode(body, answer); err != nil {
			return badAnswer(err)
		}
		return nil
	})
	return status, err
}

// stream makes a call whose answer is read while it comes. The caller closes the
// body.
func (c *Client) stream(ctx context.Context, call call) (response *http.Response, err error) {
	err = c.persist(ctx, func() (err error) {
		response, err = c.send(ctx, call) //nolint:bodyclose // the caller does
		return err
	})
	return response, err
}

// persist tries until it works, it can be of no use, or the attempts are used up.
func (c *Client) persist(ctx context.Context, try func() error) error {
	pauses := c.pauses()
	for attempt := 1; ; attempt++ {
		err := try()
		if err == nil || ctx.Err() != nil || attempt >= c.attempts || !passing(err) {
			return err
		}
		if !pause(ctx, pauseAfter(err, pauses.NextBackOff())) {
			return stopped(ctx, err)
		}
	}
}

// passing tells whether an error may be gone at the next attempt.
func passing(err error) bool {
	var refused *Error
	var untrusted *tls.CertificateVerificationError
	var hopeless *backoff.PermanentError
	switch {
	case errors.As(err, &untrusted), errors.As(err, &hopeless):
		return false
	case !errors.As(err, &refused):
		return true // no connection, or it broke
	case refused.Code != "":
		return refused.Code == CodeQueueFull || refused.Code == CodeUnavailable
	}
	switch refused.Status { // a proxy's words
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// pauseAfter is what the service asks for and up to a quarter more, so that those
// who were told the same do not come back together; or else ours.
func pauseAfter(err error, ours time.Duration) time.Duration {
	var refused *Error
	if errors.As(err, &refused) && refused.RetryAfter > 0 {
		return refused.RetryAfter + rand.N(refused.RetryAfter/4) //nolint:gosec // a pause is no secret
	}
	return ours
}

// pause waits, and reports whether it could: not if ctx ends, and not at all if
// it is known to end before.
func pause(ctx context.Context, d time.Duration) bool {
	if deadline, bounded := ctx.Deadline(); bounded && time.Until(deadline) < d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// stopped is the error of who could not wait for another attempt after err.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err // its deadline would have come before the next attempt
	}
	return fmt.Errorf("%w; the last attempt: %w", ctx.Err(), err)
}

// send makes one attempt. An answer that is not 2xx is an *Error.
func (c *Client) send(ctx context.Context, call call) (*http.Response, error) {
	target, err := c.target(call)
	if err != nil {
		return nil, backoff.Permanent(err)
	}
	// What ends a connection on which nothing comes any more.
	ctx, cancel := context.WithCancel(ctx)
	request, err := http.NewRequestWithContext(ctx, call.method, target, bytes.NewReader(call.body))
	if err != nil {
		cancel()
		return nil, backoff.Permanent(err)
	}
	for name, values := range call.header {
		request.Header[name] = values
	}
	c.authorize(request.Header)
	response, err := c.http.Do(request)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("the service cannot be reached: %w", err)
	}
	response.Body = watchIdle(response.Body, cancel, c.idle)
	if response.StatusCode/100 == 2 {
		return response, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	return nil, refusal(response, body)
}

// target is the URL of a call.
func (c *Client) target(call call) (string, error) {
	elements := make([]string, len(call.path))
	for i, element := range call.path {
		// These would lead to another path.
		if element == "" || element == "." || element == ".." {
			return "", fmt.Errorf("%q is no id and no part of a file's name", element)
		}
		elements[i] = url.PathEscape(element)
	}
	target := c.base.JoinPath(elements...)
	target.RawQuery = call.query.Encode()
	return target.String(), nil
}

// badAnswer is the error of an answer that cannot be read. To ask again would
// give the same.
func badAnswer(cause error) error {
	return backoff.Permanent(fmt.Errorf("the answer is not what Cellblock's contract says: %w", cause))
}

// decode reads JSON. Fields that it does not know are a later version's.
func decode(body []byte, into any) error {
	return json.Unmarshal(body, into, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

// encode writes the same JSON for the same value, so that its sum is the same.
func encode(value any) ([]byte, error) {
	return json.Marshal(value, json.Deterministic(true))
}
