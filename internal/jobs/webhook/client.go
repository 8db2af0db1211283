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
	wrongTimeout    = "timeout"
	wrongAddress    = "address_not_allowed"
	wrongRefused    = "connection_refused"
	wrongConnection = "connection_failed"
	wrongName       = "name_not_resolved"
	wrongTLS        = "tls_failed"
	wrongRedirect   = "redirect"
	wrongStatus     = "status"
	wrongGone       = "gone"
)

const (
	// maxAnswer and maxAnswerHeader bound the bytes read of a response's body and header.
	maxAnswer       = 64 << 10
	maxAnswerHeader = 64 << 10
)

// answer is the result of an attempt: a status, a failure reason in wrong, or both.
type answer struct {
	status     int
	retryAfter time.Duration
	wrong      string
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
			MaxResponseHeaderBytes: maxAnswerHeader,
		},
	}
}

// post sends a body once. Of the response it keeps only the status and Retry-After.
func (c *client) post(ctx context.Context, url string, header http.Header, body []byte) answer {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return answer{wrong: wrongConnection}
	}
	request.Header = header
	// Not http.Client, whose errors contain the URL and which follows redirects.
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return answer{wrong: wrongOf(ctx, err)}
	}
	defer response.Body.Close()
	// Read the body, so that the receiver is not cut off while it writes. Its status counts even if this fails. After
	// a 101 the body is the connection itself, which does not end with the context: reading it could block forever.
	if response.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	}
	return answer{
		status: response.StatusCode, retryAfter: retryAfter(response),
		wrong: wrongOfStatus(response.StatusCode),
	}
}

func wrongOfStatus(status int) string {
	switch {
	case status >= 200 && status < 300:
		return ""
	case status >= 300 && status < 400:
		return wrongRedirect
	case status == http.StatusGone:
		return wrongGone
	default:
		return wrongStatus
	}
}

// wrongOf returns the failure reason for an error. The error itself may contain bytes from the receiver, and is not
// logged.
func wrongOf(ctx context.Context, err error) string {
	var name *net.DNSError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork),
		errors.Is(err, ssrf.ErrInvalidHostPort):
		return wrongAddress
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return wrongTimeout
	case errors.As(err, &name):
		return wrongName
	case errors.As(err, &verify), errors.As(err, &record), errors.As(err, &alert), errors.As(err, &unknown):
		return wrongTLS
	case errors.Is(err, syscall.ECONNREFUSED):
		return wrongRefused
	default:
		return wrongConnection
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
