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
	"strings"

	"cellblock/api"
	"cellblock/internal/jobs"
)

const (
	// maxInlineFile and maxInline limit the bytes of files inside a response: of each, and of all
	// together.
	maxInlineFile = 64 << 10
	maxInline     = 1 << 20
)

// GetJobFile handles GET /jobs/{id}/files/{path}.
func (h *Handler) GetJobFile(w http.ResponseWriter, r *http.Request, id api.JobID, _ api.FilePath) {
	h.getFile(w, r, id)
}

// getFile sends one of a job's files.
func (h *Handler) getFile(w http.ResponseWriter, r *http.Request, id string) {
	file, err := h.findFile(r, id)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	content, err := h.files.Open(r.Context(), file.Key)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer content.Close()
	h.sendFile(w, r, file, content)
}

// findFile returns the file that the request's path names, or CodeNotFound.
func (h *Handler) findFile(r *http.Request, id string) (jobs.OutputFile, error) {
	missing := jobs.Errorf(jobs.CodeNotFound, "there is no such job or file, or it has expired")
	// net/http has decoded the path once; escaped slashes are now slashes like the others.
	name, ok := strings.CutPrefix(r.URL.Path, "/jobs/"+id+"/files/")
	id, valid := jobs.ParseID(id)
	if !valid || !ok {
		return jobs.OutputFile{}, missing
	}
	exchangeOf(r).jobID = id
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
	return jobs.OutputFile{}, missing
}

// disposition returns a Content-Disposition that saves the file under the last part of its name,
// whatever characters that has.
func disposition(name string) string {
	return mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(name)})
}

// filesBody describes a job's files; with inline, the content of small ones is included.
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
			if content, err := h.readWhole(ctx, file); err == nil {
				left -= file.Size
				encoded := base64.StdEncoding.EncodeToString(content)
				body.ContentBase64 = &encoded
			} else {
				h.logger.WarnContext(ctx, "a small file cannot be read", "error", err, "job_id", record.ID)
			}
		}
		bodies = append(bodies, body)
	}
	return bodies
}

func (h *Handler) readWhole(ctx context.Context, file jobs.OutputFile) ([]byte, error) {
	reader, err := h.files.Open(ctx, file.Key)
	if err != nil {
		return nil, fmt.Errorf("read a small file: %w", err)
	}
	defer reader.Close()
	return io.ReadAll(io.LimitReader(reader, maxInlineFile))
}

// escapePath escapes a name for use in a URL and keeps its slashes.
func escapePath(name string) string { return (&url.URL{Path: name}).EscapedPath() }
