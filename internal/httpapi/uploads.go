package httpapi

import (
	"cmp"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// Uploads keeps the files that clients upload.
type Uploads interface {
	// Upload stores a file while it reads it. If it fails, nothing is stored. Errors: that of content, CodeStorageFull,
	// CodeUnavailable.
	Upload(ctx context.Context, upload jobs.Upload, content io.Reader) (jobs.StoredFile, error)
	// Find returns a file's record. Errors: CodeNotFound, CodeUnavailable.
	Find(ctx context.Context, id string) (jobs.StoredFile, error)
	// Delete deletes a file. Errors: CodeNotFound, CodeUnavailable.
	Delete(ctx context.Context, id string) error
}

// UploadFile handles POST /files.
func (h *Handler) UploadFile(w http.ResponseWriter, r *http.Request, params api.UploadFileParams) {
	upload, err := describeUpload(r, params)
	if err != nil {
		if jobs.CodeOf(err) == jobs.CodeInputTooLarge {
			isTooLarge(w, r, jobs.MaxStoredFileBytes, err) // so that the client reads the response
		}
		h.writeError(w, r, err)
		return
	}
	// A bucket may hold the whole file in memory, a folder holds none of it.
	release, err := h.bodies.acquire(w, r, jobs.MaxStoredFileBytes)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	defer release()
	if h.draining.Err() != nil {
		h.writeError(w, r, drainError())
		return
	}
	// Not all connections support deadlines; then the server's own applies.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(formTimeout))
	body := &uploadBody{Reader: http.MaxBytesReader(w, io.NopCloser(r.Body), jobs.MaxStoredFileBytes)}
	file, err := h.uploads.Upload(r.Context(), upload, body)
	if body.err != nil {
		err = uploadError(w, r, body.err)
	}
	if jobs.CodeOf(err) == jobs.CodeStorageFull {
		// Decided before the body is read: a client that is still sending would lose the response with its connection.
		_, _ = io.Copy(io.Discard, body)
	}
	if err != nil {
		w.Header().Set("Connection", "close") // the rest of the body may not be read
		h.writeError(w, r, err)
		return
	}
	requestStateOf(r).audit.SetFile(file.ID)
	w.Header().Set("Location", "/files/"+file.ID)
	h.writeJSON(w, r, http.StatusCreated, api.StoredFile{
		FileID: file.ID, Name: file.Name, Size: file.Size, MediaType: file.MediaType, Sha256: file.SHA256,
		ExpiresAt: timestamp(file.ExpiresAt),
	})
}

// formType is the media type that curl sends for a body without a type.
const formType = "application/x-www-form-urlencoded"

// describeUpload returns the description of an upload in the headers and the query. The name is in the query, or in the
// header Content-Disposition.
func describeUpload(r *http.Request, params api.UploadFileParams) (jobs.Upload, error) {
	upload := jobs.Upload{MediaType: r.Header.Get("Content-Type"), Size: r.ContentLength}
	coding := r.Header.Get("Content-Encoding")
	mediaType, _, _ := mime.ParseMediaType(upload.MediaType)
	switch {
	case coding != "" && !strings.EqualFold(coding, "identity"), strings.HasPrefix(mediaType, "multipart/"):
		return upload, jobs.Errorf(jobs.CodeUnsupportedMediaType,
			"the body must be the file itself, not a form and not with a Content-Encoding; "+
				"with curl: --data-binary @data.csv '.../files?name=data.csv'")
	case upload.Size > jobs.MaxStoredFileBytes:
		return upload, jobs.StoredFileTooLarge()
	case params.Name != nil:
		upload.Name = *params.Name
		if upload.Name == "" {
			return upload, jobs.Errorf(jobs.CodeInvalidRequest, `"name" is empty`)
		}
	default:
		_, disposition, _ := mime.ParseMediaType(r.Header.Get("Content-Disposition"))
		upload.Name = disposition["filename"]
	}
	if upload.MediaType == "" || mediaType == formType {
		upload.MediaType = jobs.MediaType(upload.Name)
	}
	return upload, jobs.CheckUpload(upload)
}

// uploadBody is the body of an upload. It keeps the error of a read, which is the client's doing.
type uploadBody struct {
	io.Reader
	err error
}

func (b *uploadBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// uploadError returns the error for a body that could not be read.
func uploadError(w http.ResponseWriter, r *http.Request, err error) error {
	switch {
	case errors.Is(err, errTooSlow):
		return bodyTooSlow(w)
	case isTooLarge(w, r, jobs.MaxStoredFileBytes, err):
		return jobs.StoredFileTooLarge()
	default:
		return &jobs.Error{
			Code: jobs.CodeInvalidRequest, Message: "the body did not arrive whole and in time; nothing was stored",
			Cause: err,
		}
	}
}

// GetFile handles GET /files/{file_id}.
func (h *Handler) GetFile(w http.ResponseWriter, r *http.Request, id string) {
	file, err := h.uploads.Find(r.Context(), id)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	h.sendFile(w, r, jobs.OutputFile{
		Name: cmp.Or(file.Name, id), Key: file.Key, Size: file.Size, MediaType: file.MediaType, SHA256: file.SHA256,
	})
}

// DeleteFile handles DELETE /files/{file_id}.
func (h *Handler) DeleteFile(w http.ResponseWriter, r *http.Request, id string) {
	if err := h.uploads.Delete(r.Context(), id); err != nil {
		h.writeError(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
