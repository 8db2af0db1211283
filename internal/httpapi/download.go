package httpapi

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cellblock/internal/jobs"
)

// sendFile sends a file, or the part in the header Range, or 304 if the client has it
// (If-None-Match). The ETag is the file's SHA-256: its content never changes.
func (h *Handler) sendFile(w http.ResponseWriter, r *http.Request, file jobs.OutputFile, content io.ReadSeeker) {
	size, err := content.Seek(0, io.SeekEnd)
	if err == nil && size != file.Size {
		err = fmt.Errorf("it has %d bytes, and the job left %d", size, file.Size)
	}
	if err != nil {
		h.fail(w, r, fmt.Errorf("read a file from the store: %w", err))
		return
	}
	// Always an attachment: the script chose the media type, so it cannot be trusted for display.
	w.Header().Set("Content-Disposition", disposition(file.Name))
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'")
	w.Header().Set("Content-Type", file.MediaType)
	w.Header().Set("ETag", `"`+file.SHA256+`"`)
	d := &download{ResponseWriter: w}
	http.ServeContent(d, withListsJoined(r), "", time.Time{}, content)
	if d.refused != 0 {
		forbidCaching(w) // it takes this out of its errors
	}
	switch d.refused {
	case 0:
	case http.StatusPreconditionFailed:
		h.fail(w, r, jobs.Errorf(jobs.CodePreconditionFailed, "the file's ETag is not that of the header If-Match"))
		return
	default:
		h.fail(w, r, jobs.Errorf(jobs.CodeRangeNotSatisfiable, "the file has %d bytes, and the header Range asks for none of them", file.Size))
		return
	}
	if want, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64); err == nil && r.Method != http.MethodHead && d.sent != want {
		h.logger.WarnContext(r.Context(), "a file was not sent whole", "sent", d.sent, "of", want, "request_id", exchangeOf(r).requestID, "job_id", exchangeOf(r).jobID)
		panic(http.ErrAbortHandler)
	}
}

// withListsJoined returns the request with If-Match and If-None-Match each joined into one line.
// Several lines are one list (RFC 9110), but http.ServeContent reads only the first.
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

// download is the ResponseWriter for http.ServeContent. It holds back errors, whose body differs
// here.
type download struct {
	http.ResponseWriter
	// refused is the status of an error; 0 if there is none.
	refused int
	// sent is the number of bytes written.
	sent int64
}

func (d *download) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		d.refused = status
		return
	}
	d.ResponseWriter.WriteHeader(status)
}

func (d *download) Write(p []byte) (int, error) {
	if d.refused != 0 {
		return len(p), nil
	}
	n, err := d.ResponseWriter.Write(p)
	d.sent += int64(n)
	return n, err
}
