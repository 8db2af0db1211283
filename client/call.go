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
	// maxResponseBytes bounds a response that is read into memory. The service's own bounds are settings, and far
	// lower.
	maxResponseBytes = 256 << 20
)

// call is one request of the contract. It can be sent any number of times.
type call struct {
	method string
	// path has the path's elements, unescaped.
	path   []string
	query  url.Values
	header http.Header
	body   []byte
}

// fetch sends a call, decodes the response's body into result, and returns the HTTP status.
func (c *Client) fetch(ctx context.Context, call call, result any) (status int, err error) {
	err = c.retry(ctx, func() error {
		response, err := c.send(ctx, call)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		status = response.StatusCode
		body, err := io.ReadAll(io.LimitReader(response.Body, maxResponseBytes))
		if err != nil {
			return fmt.Errorf("the response broke off: %w", err)
		}
		if err := decode(body, result); err != nil {
			return badResponse(err)
		}
		return nil
	})
	return status, err
}

// stream sends a call whose response is read as it arrives. The caller closes the body.
func (c *Client) stream(ctx context.Context, call call) (response *http.Response, err error) {
	err = c.retry(ctx, func() (err error) {
		response, err = c.send(ctx, call) //nolint:bodyclose // the caller closes it
		return err
	})
	return response, err
}

// retry calls try until it succeeds, fails permanently, or the attempts are used up.
func (c *Client) retry(ctx context.Context, try func() error) error {
	pauses := c.pauses()
	for attempt := 1; ; attempt++ {
		err := try()
		if err == nil || ctx.Err() != nil || attempt >= c.attempts || !isRetryable(err) {
			return err
		}
		if !pause(ctx, pauseAfter(err, pauses.NextBackOff())) {
			return stopped(ctx, err)
		}
	}
}

// longestQuotaPause is the longest Retry-After of CodeQuotaExceeded that a call waits for.
const longestQuotaPause = time.Minute

// isRetryable reports whether the next attempt may succeed after this error.
func isRetryable(err error) bool {
	var response *Error
	var untrusted *tls.CertificateVerificationError
	var permanent *backoff.PermanentError
	switch {
	case errors.As(err, &untrusted), errors.As(err, &permanent):
		return false
	case !errors.As(err, &response):
		return true // no connection, or it broke
	case response.Code == CodeQuotaExceeded: // a job's end may solve it, and may be hours away
		return response.RetryAfter <= longestQuotaPause
	case response.Code != "":
		return response.Code == CodeQueueFull || response.Code == CodeRateLimited || response.Code == CodeUnavailable
	}
	switch response.Status { // a proxy's response
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// pauseAfter returns the service's Retry-After plus up to a quarter of it, so that clients with the same Retry-After
// do not retry at the same moment. Without a Retry-After it returns own.
func pauseAfter(err error, own time.Duration) time.Duration {
	var response *Error
	if errors.As(err, &response) && response.RetryAfter > 0 {
		return response.RetryAfter + rand.N(response.RetryAfter/4) //nolint:gosec // a pause is no secret
	}
	return own
}

// pause waits for d and reports whether it did. It returns false as soon as ctx is done, and at once if ctx's deadline
// is less than d away.
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

// stopped returns the error for a call that could not wait for another attempt after err.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err // its deadline would have come before the next attempt
	}
	return fmt.Errorf("%w; the last attempt: %w", ctx.Err(), err)
}

// send makes one attempt. It returns an *Error for a status other than 2xx.
func (c *Client) send(ctx context.Context, call call) (*http.Response, error) {
	target, err := c.target(call)
	if err != nil {
		return nil, backoff.Permanent(err)
	}
	// The idle timer cancels this context when no data arrives for c.idle.
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
	response.Body = withIdleTimeout(response.Body, cancel, c.idle)
	if response.StatusCode/100 == 2 {
		return response, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponseBytes))
	if err != nil {
		return nil, fmt.Errorf("the response broke off: %w", err)
	}
	return nil, responseError(response, body)
}

// target returns the URL of a call.
func (c *Client) target(call call) (string, error) {
	elements := make([]string, len(call.path))
	for i, element := range call.path {
		// These would lead to another path.
		if element == "" || element == "." || element == ".." {
			return "", fmt.Errorf("%q is neither an id nor a part of a file's name", element)
		}
		elements[i] = url.PathEscape(element)
	}
	target := c.base.JoinPath(elements...)
	target.RawQuery = call.query.Encode()
	return target.String(), nil
}

// badResponse returns the error for a response that does not follow the contract. It is permanent: another attempt
// would return the same.
func badResponse(cause error) error {
	return backoff.Permanent(fmt.Errorf("the response does not follow Cellblock's contract: %w", cause))
}

// decode parses JSON. It ignores unknown fields, which a later version of the service may add.
func decode(body []byte, into any) error {
	return json.Unmarshal(body, into, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

// encode writes JSON that is the same for the same value, so that its checksum is the same too.
func encode(value any) ([]byte, error) {
	return json.Marshal(value, json.Deterministic(true))
}
