package httpapi

import (
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cellblock/internal/jobs"
)

// takeRoom blocks until there is memory for the body; see room.take.
func (h *Handler) takeRoom(w http.ResponseWriter, r *http.Request) (release func(), err *jobs.Error) {
	most := int64(jobs.MaxRequestBytes)
	if boundary, _ := checkMediaType(r.Header); boundary != "" {
		most = jobs.MaxFormBytes
	}
	if release, err = h.room.take(r, most); err != nil {
		w.Header().Set("Connection", "close") // the body is not read
	}
	return release, err
}

const (
	// maxHeld limits the bytes of large bodies held at once, from before they are read until their
	// jobs are stored. There may be up to four copies of each: as received, decoded, and as sent to
	// Redis.
	maxHeld = 128 << 20
	// largeBody is the size in bytes from which a body counts.
	largeBody = 64 << 10
	// roomPatience is how long a body waits for memory. The rest of requestTimeout must suffice to
	// read it.
	roomPatience = 5 * time.Second
)

// room limits the memory that bodies use.
type room struct{ *jobs.Room }

func newRoom() room { return room{jobs.NewRoom(maxHeld, roomPatience)} }

// take blocks until there is memory for a request's body: its Content-Length, or most bytes if it
// has none. The caller calls release, once or more. It returns CodeUnavailable if there is no
// memory within roomPatience.
func (m room) take(r *http.Request, most int64) (release func(), err *jobs.Error) {
	size := r.ContentLength
	if size < 0 || size > most {
		size = most
	}
	if size < largeBody {
		return func() {}, nil
	}
	release, ok := m.Take(r.Context(), size)
	if !ok {
		return nil, jobs.Errorf(jobs.CodeUnavailable, "too many large requests came at once")
	}
	return release, nil
}

// readRequest reads and checks the body.
func (h *Handler) readRequest(w http.ResponseWriter, r *http.Request) (request jobs.Request, err *jobs.Error) {
	boundary, err := checkMediaType(r.Header)
	switch {
	case err != nil:
		return request, err
	case boundary != "":
		var parts []jobs.FormPart
		if parts, err = readForm(w, r, boundary); err == nil {
			request, err = jobs.DecodeForm(parts)
		}
	default:
		var body []byte
		if body, err = readBody(w, r, jobs.MaxRequestBytes, jobs.JSONTooLarge); err == nil {
			request, err = jobs.DecodeRequest(body)
		}
	}
	if err == nil {
		err = h.checkRequest(request)
	}
	return request, err
}

// checkRequest returns an error for a well-formed request that exceeds the limits of this service
// or asks for a webhook that it cannot send.
func (h *Handler) checkRequest(request jobs.Request) *jobs.Error {
	if err := request.CheckStartWithin(h.latest); err != nil {
		return err
	}
	if err := request.Inputs.CheckLimits(h.limits); err != nil || request.WebhookURL == "" {
		return err
	}
	if h.webhook == nil {
		return jobs.Errorf(jobs.CodeInvalidRequest, `"callback_url" cannot be used here: this service has nothing to sign its messages with (CALLBACK_SECRET)`)
	}
	return h.webhook(request.WebhookURL)
}

// checkMediaType returns the boundary if the body is a form, "" if it is plain JSON in UTF-8, and
// an error otherwise.
func checkMediaType(header http.Header) (boundary string, err *jobs.Error) {
	if coding := header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return "", jobs.Errorf(jobs.CodeUnsupportedMediaType, "the body must not be compressed; send it without Content-Encoding")
	}
	given := header.Get("Content-Type")
	mediaType, params, parseErr := mime.ParseMediaType(given)
	switch charset := params["charset"]; {
	case given == "":
		return "", jobs.Errorf(jobs.CodeUnsupportedMediaType, "a Content-Type is needed; with curl: -H 'Content-Type: application/json'")
	case parseErr == nil && mediaType == "multipart/form-data" && params["boundary"] != "":
		return params["boundary"], nil
	case parseErr != nil || mediaType != "application/json":
		return "", jobs.Errorf(jobs.CodeUnsupportedMediaType, "the Content-Type must be application/json (or multipart/form-data, with a boundary), not %.100q; with curl: -H 'Content-Type: application/json'", given)
	case !isUTF8(charset):
		return "", jobs.Errorf(jobs.CodeUnsupportedMediaType, "the charset must be utf-8, not %.100q; with curl: -H 'Content-Type: application/json'", charset)
	}
	return "", nil
}

// isUTF8 reports whether a charset is UTF-8 or a subset of it, in any spelling.
func isUTF8(charset string) bool {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(charset)) {
	case "", "utf8", "unicode11utf8", "csutf8", "usascii", "ascii":
		return true
	default:
		return false
	}
}

// readBody reads the whole body, of at most bound bytes; the server limits the time. tooLarge
// returns the error for a larger body, given the part that arrived.
func readBody(w http.ResponseWriter, r *http.Request, bound int64, tooLarge func(beginning []byte) *jobs.Error) ([]byte, *jobs.Error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, io.NopCloser(r.Body), bound))
	if err == nil {
		return body, nil
	}
	if overBound(w, r, bound, err) {
		return nil, tooLarge(body)
	}
	return nil, &jobs.Error{Code: jobs.CodeInvalidRequest, Message: "the body did not arrive whole and in time", Cause: err}
}

// overBound reports whether reading the body failed with err because it has more than bound bytes,
// and prepares the connection for the response. The body has been read up to the bound, so that the
// response can name the part that is too large.
func overBound(w http.ResponseWriter, r *http.Request, bound int64, err error) bool {
	w.Header().Set("Connection", "close") // the rest of the body is not read
	var tooMuch *http.MaxBytesError
	if !errors.As(err, &tooMuch) && r.ContentLength <= bound {
		return false
	}
	// Read some of the rest: a client that is still sending would otherwise lose the response with
	// its connection.
	_, _ = io.CopyN(io.Discard, r.Body, 2*bound)
	return true
}

// formTimeout is how long a client may take to send a form.
const formTimeout = time.Minute

// maxFormParts allows one part for each field, and the files.
const maxFormParts = jobs.MaxFiles + 16

// readForm reads a multipart/form-data body of at most jobs.MaxFormBytes.
func readForm(w http.ResponseWriter, r *http.Request, boundary string) ([]jobs.FormPart, *jobs.Error) {
	// Not all connections support deadlines; then the server's own applies.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(formTimeout))
	defer func() { exchangeOf(r).received = time.Now() }()
	body := http.MaxBytesReader(w, io.NopCloser(r.Body), jobs.MaxFormBytes)
	reader := multipart.NewReader(body, boundary)
	var parts []jobs.FormPart
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			// Read to the end: only then does the server notice a client that leaves.
			_, _ = io.Copy(io.Discard, body)
			return parts, nil
		}
		if err == nil && len(parts) == maxFormParts {
			return nil, jobs.Errorf(jobs.CodeInvalidRequest, "the body has more than %d parts", maxFormParts)
		}
		var read jobs.FormPart
		if err == nil {
			read, err = readPart(part)
		}
		if err != nil {
			return nil, formError(w, r, err, append(parts, read))
		}
		parts = append(parts, read)
	}
}

// errPart is the error for a malformed part.
var errPart = errors.New("a part of the form")

func readPart(part *multipart.Part) (jobs.FormPart, error) {
	disposition, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || disposition != "form-data" {
		return jobs.FormPart{}, fmt.Errorf("%w has no Content-Disposition: form-data with a name", errPart)
	}
	switch strings.ToLower(part.Header.Get("Content-Transfer-Encoding")) {
	case "", "binary", "8bit", "7bit":
	default:
		return jobs.FormPart{}, fmt.Errorf("%w has a Content-Transfer-Encoding; send it as it is", errPart)
	}
	content, err := io.ReadAll(part)
	// Not part.FileName(), which drops folders.
	return jobs.FormPart{Name: params["name"], FileName: params["filename"], Content: content}, err
}

// formError returns the error for a form that could not be read; parts are those read so far.
func formError(w http.ResponseWriter, r *http.Request, err error, parts []jobs.FormPart) *jobs.Error {
	if errors.Is(err, errPart) {
		return jobs.Errorf(jobs.CodeInvalidRequest, "%v", err)
	}
	if overBound(w, r, jobs.MaxFormBytes, err) {
		return jobs.FormTooLarge(parts)
	}
	return &jobs.Error{Code: jobs.CodeInvalidRequest, Message: "the body is no whole multipart/form-data", Cause: err}
}

// maxIdempotencyKey is the longest key, in bytes without quotes.
const maxIdempotencyKey = 255

// decodeKey reads the header Idempotency-Key; "" if there is none. The IETF draft puts the key in
// quotes; most clients send it without, which is the same key.
func decodeKey(header *string) (key string, err *jobs.Error) {
	if header == nil {
		return "", nil
	}
	key = strings.TrimSpace(*header)
	if quoted, ok := strings.CutPrefix(key, `"`); ok {
		if key, ok = strings.CutSuffix(quoted, `"`); !ok {
			key = ""
		}
	}
	printable := strings.IndexFunc(key, func(c rune) bool { return c < ' ' || c > '~' || c == '"' }) < 0
	if key == "" || len(key) > maxIdempotencyKey || !printable {
		return "", jobs.Errorf(jobs.CodeInvalidRequest, "Idempotency-Key must have 1 to %d printable ASCII characters, with or without quotes around them", maxIdempotencyKey)
	}
	return key, nil
}

// maxJobWait is the longest wait of GET /jobs/{id}.
const maxJobWait = 30 * time.Second

// parseWait reads a wait: a number of seconds, or a number with a unit. Waits above maxJobWait
// become maxJobWait.
func parseWait(s string) (time.Duration, *jobs.Error) {
	wait, err := time.ParseDuration(s)
	if err != nil {
		seconds, numberErr := strconv.ParseFloat(s, 64)
		if numberErr != nil || math.IsNaN(seconds) {
			seconds = -1
		}
		wait = time.Duration(min(seconds, maxJobWait.Seconds()) * float64(time.Second))
	}
	if wait < 0 {
		return 0, jobs.Errorf(jobs.CodeInvalidRequest, `"wait" must be a time such as 10s, from 0 to 30s`)
	}
	return min(wait, maxJobWait), nil
}
