package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"cellblock/internal/jobs"
)

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
