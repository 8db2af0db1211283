package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// The failure reasons of an attempt. They are part of the contract.
const (
	reasonTimeout    = "timeout"
	reasonAddress    = "address_not_allowed"
	reasonRefused    = "connection_refused"
	reasonConnection = "connection_failed"
	reasonName       = "name_not_resolved"
	reasonTLS        = "tls_failed"
	reasonRedirect   = "redirect"
	reasonStatus     = "status"
	reasonGone       = "gone"
)

const (
	// maxResponse and maxResponseHeader bound the bytes read of a response's body and header.
	maxResponse       = 64 << 10
	maxResponseHeader = 64 << 10
)

// attemptResult is the result of an attempt: a status, a failure reason, or both.
type attemptResult struct {
	status        int
	retryAfter    time.Duration
	failureReason string
}

// client posts messages. It follows no redirects, uses no proxy from the environment, and keeps neither connections
// nor cookies.
type client struct {
	transport *http.Transport
	timeout   time.Duration
}

// newClient returns a client. resolver resolves host names; nil uses the system's.
func newClient(g guard, timeout time.Duration, resolver *net.Resolver) *client {
	dialer := &net.Dialer{Timeout: timeout, Control: g.control, Resolver: resolver}
	return &client{
		timeout: timeout,
		transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    timeout,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxResponseHeader,
		},
	}
}

// post sends a body once. Of the response it keeps only the status and Retry-After.
func (c *client) post(ctx context.Context, url string, header http.Header, body []byte) attemptResult {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return attemptResult{failureReason: reasonConnection}
	}
	request.Header = header
	// Not http.Client, whose errors contain the URL and which follows redirects.
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return attemptResult{failureReason: reasonForError(ctx, err)}
	}
	defer response.Body.Close()
	// Read the body, so that the receiver is not cut off while it writes. Its status counts even if this fails. After
	// a 101 the body is the connection itself, which does not end with the context: reading it could block forever.
	if response.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxResponse))
	}
	return attemptResult{
		status: response.StatusCode, retryAfter: retryAfter(response),
		failureReason: reasonForStatus(response.StatusCode),
	}
}

func reasonForStatus(status int) string {
	switch {
	case status >= 200 && status < 300:
		return ""
	case status >= 300 && status < 400:
		return reasonRedirect
	case status == http.StatusGone:
		return reasonGone
	default:
		return reasonStatus
	}
}

// reasonForError returns the failure reason for an error. The error may contain bytes from the receiver, so it is not
// logged.
func reasonForError(ctx context.Context, err error) string {
	var name *net.DNSError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork),
		errors.Is(err, ssrf.ErrInvalidHostPort):
		return reasonAddress
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return reasonTimeout
	case errors.As(err, &name):
		return reasonName
	case errors.As(err, &verify), errors.As(err, &record), errors.As(err, &alert), errors.As(err, &unknown):
		return reasonTLS
	case errors.Is(err, syscall.ECONNREFUSED):
		return reasonRefused
	default:
		return reasonConnection
	}
}

// retryAfter returns the Retry-After of a busy receiver; 0 if it is missing or not in seconds.
func retryAfter(response *http.Response) time.Duration {
	if response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	seconds, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
