package httpapi

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// Files stores the files of jobs.
type Files interface {
	// Open returns the content under a file's key; the caller closes it. Errors: CodeNotFound.
	Open(ctx context.Context, key string) (io.ReadSeekCloser, error)
}

const (
	// maxInlineFile and maxInline limit the bytes of files inside a response: of each, and of all together.
	maxInlineFile = 64 << 10
	maxInline     = 1 << 20
)

// GetJobFile handles GET /jobs/{id}/files/{path}. It takes the path from the request: the parameter ends at a slash.
func (h *Handler) GetJobFile(w http.ResponseWriter, r *http.Request, id api.JobID, _ api.FilePath) {
	file, err := h.findFile(r, id)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	h.sendFile(w, r, file)
}

// findFile returns the file that the request's path names, or CodeNotFound.
func (h *Handler) findFile(r *http.Request, id string) (jobs.OutputFile, error) {
	notFound := jobs.NotFound("job or file")
	// net/http has decoded the path once; escaped slashes are now slashes like the others.
	name, ok := strings.CutPrefix(r.URL.Path, "/jobs/"+id+"/files/")
	id, valid := jobs.ParseID(id)
	if !valid || !ok {
		return jobs.OutputFile{}, notFound
	}
	requestStateOf(r).jobID = id
	record, err := h.jobs.Describe(r.Context(), id, 0)
	if err != nil {
		return jobs.OutputFile{}, err
	}
	if record.Outcome != nil {
		for _, file := range record.Outcome.Files {
			if file.Name == name {
				return file, nil
			}
		}
	}
	return jobs.OutputFile{}, notFound
}

// disposition returns a Content-Disposition that saves the file under the last part of its name, whatever characters
// that has.
func disposition(name string) string {
	return mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(name)})
}

// filesBody returns a job's files as responses encode them; with inline, small ones with their content.
func (h *Handler) filesBody(ctx context.Context, record jobs.Record, inline *bool) []api.OutputFile {
	if record.Outcome == nil || len(record.Outcome.Files) == 0 {
		return nil
	}
	left := int64(maxInline)
	bodies := make([]api.OutputFile, 0, len(record.Outcome.Files))
	for _, file := range record.Outcome.Files {
		body := api.OutputFile{
			Name: file.Name, Size: file.Size, MediaType: file.MediaType, Sha256: file.SHA256,
			URL: "/jobs/" + record.ID + "/files/" + escapePath(file.Name),
		}
		if inline != nil && *inline && file.Size <= maxInlineFile && file.Size <= left {
			if content, err := h.readFile(ctx, file); err == nil {
				left -= file.Size
				encoded := base64.StdEncoding.EncodeToString(content)
				body.ContentBase64 = &encoded
			} else {
				h.logger.WarnContext(ctx, "cannot read small file", "error", err, "job_id", record.ID)
			}
		}
		bodies = append(bodies, body)
	}
	return bodies
}

// readFile returns the content of a file of at most maxInlineFile bytes.
func (h *Handler) readFile(ctx context.Context, file jobs.OutputFile) ([]byte, error) {
	reader, err := h.files.Open(ctx, file.Key)
	if err != nil {
		return nil, fmt.Errorf("read a small file: %w", err)
	}
	defer reader.Close()
	return io.ReadAll(io.LimitReader(reader, maxInlineFile))
}

// escapePath escapes a name for use in a URL and keeps its slashes.
func escapePath(name string) string { return (&url.URL{Path: name}).EscapedPath() }

// sendFile sends a file, or the part in the header Range, or 304 if the client has it (If-None-Match). The ETag is the
// file's SHA-256: its content never changes.
func (h *Handler) sendFile(w http.ResponseWriter, r *http.Request, file jobs.OutputFile) {
	content, err := h.files.Open(r.Context(), file.Key)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	defer content.Close()
	size, err := content.Seek(0, io.SeekEnd)
	if err == nil && size != file.Size {
		err = fmt.Errorf("it has %d bytes instead of %d", size, file.Size)
	}
	if err != nil {
		h.writeError(w, r, fmt.Errorf("read a file from the store: %w", err))
		return
	}
	// Always an attachment: the script chose the media type, so it cannot be trusted for display.
	w.Header().Set("Content-Disposition", disposition(file.Name))
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'")
	w.Header().Set("Content-Type", file.MediaType)
	w.Header().Set("ETag", `"`+file.SHA256+`"`)
	d := &downloadWriter{ResponseWriter: w}
	http.ServeContent(d, withListsJoined(r), "", time.Time{}, content)
	if d.errorStatus != 0 {
		disableCaching(w) // ServeContent removes this header from its errors
	}
	switch d.errorStatus {
	case 0:
	case http.StatusPreconditionFailed:
		h.writeError(w, r, jobs.Errorf(jobs.CodePreconditionFailed,
			"the file's ETag is not that of the header If-Match"))
		return
	default:
		h.writeError(w, r, jobs.Errorf(jobs.CodeRangeNotSatisfiable,
			"the file has %d bytes, and the header Range asks for none of them", file.Size))
		return
	}
	length, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64)
	if err == nil && r.Method != http.MethodHead && d.sent != length {
		state := requestStateOf(r)
		h.logger.WarnContext(r.Context(), "download aborted",
			"sent", d.sent, "of", length, "request_id", state.requestID, "job_id", state.jobID)
		panic(http.ErrAbortHandler)
	}
}

// withListsJoined returns the request with If-Match and If-None-Match each joined into one line. Several lines are one
// list (RFC 9110), but http.ServeContent reads only the first.
func withListsJoined(r *http.Request) *http.Request {
	joined := *r
	joined.Header = r.Header.Clone()
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if lines := r.Header.Values(name); len(lines) > 1 {
			joined.Header.Set(name, strings.Join(lines, ", "))
		}
	}
	return &joined
}

// downloadWriter is the ResponseWriter for http.ServeContent. It drops the body of an error, which sendFile writes.
type downloadWriter struct {
	http.ResponseWriter
	// errorStatus is the status of an error; 0 if there is none.
	errorStatus int
	// sent is the number of bytes written.
	sent int64
}

func (d *downloadWriter) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		d.errorStatus = status
		return
	}
	d.ResponseWriter.WriteHeader(status)
}

func (d *downloadWriter) Write(p []byte) (int, error) {
	if d.errorStatus != 0 {
		return len(p), nil
	}
	n, err := d.ResponseWriter.Write(p)
	d.sent += int64(n)
	return n, err
}
