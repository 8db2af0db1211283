package jobs

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxWebhookURLBytes bounds a callback_url.
const MaxWebhookURLBytes = 2048

// WebhookStatus is the status of a job's webhook.
type WebhookStatus string

// A webhook is waiting until the job has ended, pending until a receiver has accepted the message, and then
// delivered, or failed for good.
const (
	WebhookWaiting   WebhookStatus = "waiting"
	WebhookPending   WebhookStatus = "pending"
	WebhookDelivered WebhookStatus = "delivered"
	WebhookFailed    WebhookStatus = "failed"
)

// Over reports whether no further attempt will be made.
func (s WebhookStatus) Over() bool { return s == WebhookDelivered || s == WebhookFailed }

// Webhook is the URL to which a job's end is posted, and the status of that.
type Webhook struct {
	// URL is the client's URL. Its query may contain a secret: it is never logged or shown.
	URL    string
	Status WebhookStatus
	// Attempts counts the attempts begun. The times are from Redis's clock, zero for none.
	Attempts      int
	LastAttemptAt time.Time
	NextAttemptAt time.Time
	// ResponseStatus is the HTTP status of the last response, 0 for none. Error is a short code for the failure of the
	// last attempt, "" for none.
	ResponseStatus int
	Error          string
	// Trace is that of the job. Only PeekWebhook of the store returns it.
	Trace TraceContext
}

// ShownURL returns the URL without its query.
func (c Webhook) ShownURL() string {
	shown, _, _ := strings.Cut(c.URL, "?")
	return shown
}

func decodeWebhookURL(value jsontext.Value) (string, error) {
	text, err := decodeText("callback_url", value)
	if err != nil {
		return "", err
	}
	if reason := webhookURLProblem(text); reason != "" {
		return "", Errorf(CodeInvalidRequest, `"callback_url" %s`, reason)
	}
	return text, nil
}

// webhookURLProblem describes what is wrong with a URL; it returns "" for a valid one. The text contains no part of the
// URL.
func webhookURLProblem(text string) string {
	if len(text) > MaxWebhookURLBytes {
		return "has " + strconv.Itoa(len(text)) + " bytes, at most " + strconv.Itoa(MaxWebhookURLBytes) + " are allowed"
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return "has a space or a control character in it"
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "is not a URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return "must begin with http:// or https://"
	case u.Hostname() == "":
		return "has no host"
	case u.User != nil:
		return "must not have a user or a password in it"
	case strings.Contains(text, "#"):
		return "must not have a fragment (#)"
	case u.Port() != "" && !validPort(u.Port()):
		return "has an invalid port"
	}
	return ""
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
