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

// formTimeout bounds how long a client may take to send a form.
const formTimeout = time.Minute

// maxFormParts is one for each field, and the files.
const maxFormParts = jobs.MaxFiles + 16

// readForm reads a body of multipart/form-data, within its bound.
func readForm(w http.ResponseWriter, r *http.Request, boundary string) ([]jobs.FormPart, *jobs.Error) {
	// Not all connections have deadlines of their own; the server's then stands.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(formTimeout))
	defer func() { exchangeOf(r).received = time.Now() }()
	body := http.MaxBytesReader(w, io.NopCloser(r.Body), jobs.MaxFormBytes)
	reader := multipart.NewReader(body, boundary)
	var parts []jobs.FormPart
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			// To its end: before that, the server does not notice a client that leaves.
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

// errPart is about a part that is not as it must be.
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
	// Not part.FileName(), which has no folders.
	return jobs.FormPart{Name: params["name"], FileName: params["filename"], Content: content}, err
}

// formError words what is wrong with a form, of which these parts are there.
func formError(w http.ResponseWriter, r *http.Request, err error, parts []jobs.FormPart) *jobs.Error {
	if errors.Is(err, errPart) {
		return jobs.Errorf(jobs.CodeInvalidRequest, "%v", err)
	}
	if overBound(w, r, jobs.MaxFormBytes, err) {
		return jobs.FormTooLarge(parts)
	}
	return &jobs.Error{Code: jobs.CodeInvalidRequest, Message: "the body is no whole multipart/form-data", Cause: err}
}
