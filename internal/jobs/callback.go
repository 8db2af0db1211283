package jobs

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxCallbackURLBytes bounds a callback_url.
const MaxCallbackURLBytes = 2048

// CallbackStatus is what became of the message that tells of a job's end.
type CallbackStatus string

// A callback waits for the job's end, is pending until somebody has taken the
// message, and is then delivered, or failed for good.
const (
	CallbackWaiting   CallbackStatus = "waiting"
	CallbackPending   CallbackStatus = "pending"
	CallbackDelivered CallbackStatus = "delivered"
	CallbackFailed    CallbackStatus = "failed"
)

// Over reports whether nothing more will be sent.
func (s CallbackStatus) Over() bool { return s == CallbackDelivered || s == CallbackFailed }

// Callback is where a job's end is posted to, and how that stands.
type Callback struct {
	// URL is as the client gave it. Its query may hold a secret: it is never
	// logged or shown.
	URL    string
	Status CallbackStatus
	// Attempts counts those that were begun. The times are Redis's, and zero for
	// none.
	Attempts      int
	LastAttemptAt time.Time
	NextAttemptAt time.Time
	// ResponseStatus is that of the last answer, 0 for none, and Error a short
	// code for what was wrong with the last attempt, "" for nothing.
	ResponseStatus int
	Error          string
}

// ShownURL is the URL without its query.
func (c Callback) ShownURL() string {
	shown, _, _ := strings.Cut(c.URL, "?")
	return shown
}

func decodeCallbackURL(value jsontext.Value) (string, *Error) {
	text, err := decodeText("callback_url", value)
	if err != nil {
		return "", err
	}
	if reason := wrongCallbackURL(text); reason != "" {
		return "", Errorf(CodeInvalidRequest, `"callback_url" %s`, reason)
	}
	return text, nil
}

// wrongCallbackURL says what is wrong with a URL, "" for nothing. It does not
// repeat any of it.
func wrongCallbackURL(text string) string {
	if len(text) > MaxCallbackURLBytes {
		return "has " + strconv.Itoa(len(text)) + " bytes, at most " + strconv.Itoa(MaxCallbackURLBytes) + " are allowed"
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
		return "has a port that is none"
	}
	return ""
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
