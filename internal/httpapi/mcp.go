package httpapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// Bounds on the bytes of bodies of POST /mcp held at once, of large ones and of those below largeBody. They are held
// until the answer, which may wait for a job, so they have budgets of their own, that the bodies of other routes need
// not wait for, and one client holds at most half of each.
const (
	maxMCPBodies      = 64 << 20
	maxSmallMCPBodies = 16 << 20
)

// serveMCP handles POST /mcp: it bounds the body, and leaves the rest to the MCP server.
func (h *Handler) serveMCP(w http.ResponseWriter, r *http.Request) {
	body, release, err := h.readMCP(w, r)
	defer release()
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	w.Header().Set("X-Accel-Buffering", "no") // as for other streams
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	h.mcp.ServeHTTP(renewingWriter{w}, r)
}

// renewingWriter is the writer of a response in parts that may be far apart: each has a deadline of its own, however
// late it comes. A flush follows each write at once.
type renewingWriter struct{ http.ResponseWriter }

// Write renews the deadline and writes. A request that was cut stays cut: its writes fail before they begin.
func (w renewingWriter) Write(p []byte) (int, error) {
	// Not all writers support deadlines; then the server's own applies.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(responseTimeout))
	return w.ResponseWriter.Write(p)
}

// Unwrap returns the inner writer, for http.ResponseController.
func (w renewingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// readMCP returns the body of POST /mcp. The caller calls release after the answer; it is never nil.
func (h *Handler) readMCP(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	release = func() {}
	if err := checkJSONType(r.Header); err != nil {
		return nil, release, err
	}
	if release, err = h.mcpBodies.acquire(w, r, jobs.MaxRequestBytes); err != nil {
		return nil, func() {}, err
	}
	body, err = readBody(w, r, jobs.MaxRequestBytes, func([]byte) error {
		return jobs.Errorf(jobs.CodeInputTooLarge, "the message has more than %d bytes", jobs.MaxRequestBytes)
	})
	// Only revision 2025-03-26 has batches. One could ask for tens of thousands of jobs at once.
	if err == nil && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		err = jobs.Errorf(jobs.CodeInvalidRequest, "the body must be one JSON-RPC message; batches are not accepted")
	}
	return body, release, err
}

// DecodeRequest decodes and checks the body of POST /execute, for other doors of this service that make jobs.
func (h *Handler) DecodeRequest(_ context.Context, body []byte) (jobs.Request, error) {
	request, err := jobs.DecodeRequest(body)
	if err == nil {
		err = h.checkRequest(request)
	}
	return request, err
}

// EncodeJob returns a job as all responses encode it, for other doors of this service.
func (h *Handler) EncodeJob(ctx context.Context, record jobs.Record) api.Job {
	return jobBody(record, h.filesBody(ctx, record, nil))
}
