package httpapi

import (
	"bufio"
	"bytes"
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
	"cellblock/internal/membudget"
)

const (
	// maxBodyMemory limits the bytes of large bodies held at once, from before they are read until their jobs are
	// stored. There may be up to four copies of each: as received, decoded, and as sent to Redis.
	maxBodyMemory = 128 << 20
	// maxSmallBodies is the same for bodies below largeBody: thousands of those are large together.
	maxSmallBodies = 32 << 20
	// largeBody is the size in bytes from which a body counts as large.
	largeBody = 64 << 10
	// bodyMemoryTimeout is how long a body waits for memory. The rest of requestTimeout must suffice to read it.
	bodyMemoryTimeout = 5 * time.Second
)

// bodyBudgets limit the memory held by bodies. The small ones have a budget of their own, so that they need not wait
// for large ones.
type bodyBudgets struct{ large, small *membudget.Budget }

// acquire blocks until there is memory for a request's body: its Content-Length, or maxSize bytes if it has none. The
// caller calls release, once or more. It returns CodeUnavailable if there is no memory within bodyMemoryTimeout; the
// connection then closes after the response, since the body is not read.
func (b bodyBudgets) acquire(w http.ResponseWriter, r *http.Request, maxSize int64) (release func(), err error) {
	size := r.ContentLength
	if size < 0 || size > maxSize {
		size = maxSize
	}
	budget := b.large
	if size < largeBody {
		budget = b.small
	}
	release, ok := budget.Acquire(r.Context(), size)
	if !ok {
		w.Header().Set("Connection", "close")
		return nil, jobs.Unavailable("too many requests with a body came at once; repeat this one after a moment", nil)
	}
	return release, nil
}

// readRequest reads and checks the body of POST /execute.
func (h *Handler) readRequest(w http.ResponseWriter, r *http.Request) (request jobs.Request, err error) {
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

// checkRequest returns an error for a well-formed request that exceeds the limits of this service or asks for a
// webhook that it cannot send.
func (h *Handler) checkRequest(request jobs.Request) error {
	if err := request.CheckStartWithin(h.maxStartWithin); err != nil {
		return err
	}
	if err := request.Inputs.CheckLimits(h.limits); err != nil || request.WebhookURL == "" {
		return err
	}
	if h.webhook == nil {
		return jobs.Errorf(jobs.CodeInvalidRequest,
			`"callback_url" cannot be used here: this service has nothing to sign its messages with (CALLBACK_SECRET)`)
	}
	return h.webhook(request.WebhookURL)
}

// checkMediaType returns the boundary if the body is a form, "" if it is plain JSON in UTF-8, and otherwise
// CodeUnsupportedMediaType.
func checkMediaType(header http.Header) (boundary string, err error) {
	if coding := header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return "", jobs.Errorf(jobs.CodeUnsupportedMediaType,
			"the body must not be compressed; send it without Content-Encoding")
	}
	contentType := header.Get("Content-Type")
	mediaType, params, parseErr := mime.ParseMediaType(contentType)
	switch charset := params["charset"]; {
	case contentType == "":
		return "", jobs.Errorf(jobs.CodeUnsupportedMediaType,
			"a Content-Type is needed; with curl: -H 'Content-Type: application/json'")
	case parseErr == nil && mediaType == "multipart/form-data" && params["boundary"] != "":
		return params["boundary"], nil
	case parseErr != nil || mediaType != "application/json":
		return "", jobs.Errorf(jobs.CodeUnsupportedMediaType, "the Content-Type must be application/json "+
			"(or multipart/form-data, with a boundary), not %.100q; with curl: -H 'Content-Type: application/json'",
			contentType)
	case !isUTF8(charset):
		return "", jobs.Errorf(jobs.CodeUnsupportedMediaType,
			"the charset must be utf-8, not %.100q; with curl: -H 'Content-Type: application/json'", charset)
	}
	return "", nil
}

// checkJSONType is checkMediaType for a body that cannot be a form.
func checkJSONType(header http.Header) error {
	boundary, err := checkMediaType(header)
	if err == nil && boundary != "" {
		err = jobs.Errorf(jobs.CodeUnsupportedMediaType, "the Content-Type must be application/json")
	}
	return err
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

// readBody reads the whole body, of at most maxSize bytes; the server limits the time. tooLarge returns the error for a
// larger body from its beginning.
func readBody(
	w http.ResponseWriter, r *http.Request, maxSize int64, tooLarge func(beginning []byte) error,
) ([]byte, error) {
	var buffer bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength <= maxSize {
		buffer.Grow(int(r.ContentLength) + bytes.MinRead) // growing it bit by bit would leave as much as garbage
	}
	_, err := buffer.ReadFrom(http.MaxBytesReader(w, io.NopCloser(r.Body), maxSize))
	body := buffer.Bytes()
	if err == nil {
		return body, nil
	}
	if errors.Is(err, errTooSlow) {
		return nil, bodyTooSlow(w)
	}
	if isTooLarge(w, r, maxSize, err) {
		return nil, tooLarge(body)
	}
	return nil, &jobs.Error{
		Code: jobs.CodeInvalidRequest, Message: "the body did not arrive whole and in time", Cause: err,
	}
}

// bodyTooSlow returns the error for a body whose memory others waited for, and prepares the connection for the
// response.
func bodyTooSlow(w http.ResponseWriter) error {
	w.Header().Set("Connection", "close") // the rest of the body is not read
	return jobs.Unavailable("the body arrived too slowly while other requests waited; repeat the request", errTooSlow)
}

// isTooLarge reports whether reading the body failed with err because it has more than maxSize bytes, and prepares the
// connection for the response. The body has been read up to maxSize, so that the response can name the part that is too
// large.
func isTooLarge(w http.ResponseWriter, r *http.Request, maxSize int64, err error) bool {
	w.Header().Set("Connection", "close") // the rest of the body is not read
	var maxBytes *http.MaxBytesError
	if !errors.As(err, &maxBytes) && r.ContentLength <= maxSize {
		return false
	}
	// Read some of the rest: a client that is still sending would otherwise lose the response with its connection.
	_, _ = io.CopyN(io.Discard, r.Body, 2*maxSize)
	return true
}

// formTimeout is how long a client may take to send a form or a file.
const formTimeout = time.Minute

// maxFormParts allows one part for each field, and the files.
const maxFormParts = jobs.MaxFiles + 16

// formReadSize returns how many bytes of a form to read at once, given its Content-Length, -1 for none. By itself,
// package multipart reads 4 KiB.
func formReadSize(length int64) int {
	const most = 256 << 10
	if length < 0 || length > most {
		return most
	}
	return int(length)
}

// readForm reads a multipart/form-data body of at most jobs.MaxFormBytes.
func readForm(w http.ResponseWriter, r *http.Request, boundary string) ([]jobs.FormPart, error) {
	// Not all connections support deadlines; then the server's own applies.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(formTimeout))
	defer func() { requestStateOf(r).formReadAt = time.Now() }()
	body := http.MaxBytesReader(w, io.NopCloser(r.Body), jobs.MaxFormBytes)
	reader := multipart.NewReader(bufio.NewReaderSize(body, formReadSize(r.ContentLength)), boundary)
	var parts []jobs.FormPart
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			// Read to the end: only then does the server notice that a client disconnects.
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

// errMalformedPart is the error for a malformed part.
var errMalformedPart = errors.New("a part of the form")

// readPart reads a part with its content. It returns errMalformedPart if its header is not valid.
func readPart(part *multipart.Part) (jobs.FormPart, error) {
	disposition, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || disposition != "form-data" {
		return jobs.FormPart{}, fmt.Errorf("%w has no Content-Disposition: form-data with a name", errMalformedPart)
	}
	switch strings.ToLower(part.Header.Get("Content-Transfer-Encoding")) {
	case "", "binary", "8bit", "7bit":
	default:
		return jobs.FormPart{}, fmt.Errorf("%w has a Content-Transfer-Encoding; send it as it is", errMalformedPart)
	}
	content, err := io.ReadAll(part)
	// Not part.FileName(), which drops folders.
	return jobs.FormPart{Name: params["name"], FileName: params["filename"], Content: content}, err
}

// formError returns the error for a form that could not be read; parts are the parts read so far.
func formError(w http.ResponseWriter, r *http.Request, err error, parts []jobs.FormPart) error {
	if errors.Is(err, errMalformedPart) {
		return jobs.Errorf(jobs.CodeInvalidRequest, "%v", err)
	}
	if errors.Is(err, errTooSlow) {
		return bodyTooSlow(w)
	}
	if isTooLarge(w, r, jobs.MaxFormBytes, err) {
		return jobs.FormTooLarge(parts)
	}
	return &jobs.Error{Code: jobs.CodeInvalidRequest, Message: "the body is no whole multipart/form-data", Cause: err}
}

// maxIdempotencyKey is the longest key, in bytes without quotes.
const maxIdempotencyKey = 255

// decodeIdempotencyKey returns the key in the header Idempotency-Key, "" without the header. The IETF draft puts the
// key in quotes; most clients send it without, which is the same key.
func decodeIdempotencyKey(header *string) (key string, err error) {
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
		return "", jobs.Errorf(jobs.CodeInvalidRequest,
			"Idempotency-Key must have 1 to %d printable ASCII characters, with or without quotes around them",
			maxIdempotencyKey)
	}
	return key, nil
}

// maxJobWait is the longest wait of GET /jobs/{id}.
const maxJobWait = 30 * time.Second

// parseWait parses the query parameter "wait": a number of seconds, or a number with a unit; 0 without the parameter.
// Waits above maxJobWait become maxJobWait.
func parseWait(s *string) (time.Duration, error) {
	if s == nil {
		return 0, nil
	}
	wait, err := time.ParseDuration(*s)
	if err != nil {
		seconds, numberErr := strconv.ParseFloat(*s, 64)
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
