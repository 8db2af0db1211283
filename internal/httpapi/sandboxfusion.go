package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
	"cellblock/internal/sandboxfusion"
)

const (
	// sandboxFusionPath is where clients of SandboxFusion find what they call /.
	sandboxFusionPath    = "/compat/sandboxfusion/"
	sandboxFusionRunCode = sandboxFusionPath + "run_code"
	// cancelTimeout bounds the cancellation of a job whose client waits no longer.
	cancelTimeout = 5 * time.Second
)

// isSandboxFusion reports whether a response has the form of SandboxFusion.
func isSandboxFusion(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, sandboxFusionPath) }

// sandboxFusionStatus returns the status for a code. What a repetition may solve is 504: training loops repeat a call
// after that status only, and count every other error against the code.
func sandboxFusionStatus(code jobs.Code) int {
	switch code {
	case jobs.CodeQueueFull, jobs.CodeRateLimited, jobs.CodeQuotaExceeded,
		jobs.CodeUnavailable, jobs.CodeNotStarted, jobs.CodeWorkerLost:
		return http.StatusGatewayTimeout
	default:
		return statusOf(code)
	}
}

// sandboxFusionError is the body of an error.
type sandboxFusionError struct {
	sandboxfusion.Response

	Files map[string]string `json:"files"`
}

// RunCode handles POST /compat/sandboxfusion/run_code.
func (h *Handler) RunCode(w http.ResponseWriter, r *http.Request) {
	release, err := h.bodies.acquire(w, r, jobs.MaxRequestBytes)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	defer release()
	call, err := h.readCall(w, r)
	if err == nil && h.draining.Err() != nil {
		err = drainError()
	}
	if err != nil {
		release()
		h.writeError(w, r, err)
		return
	}
	h.runCall(w, r, call, release)
}

// readCall reads and checks the body.
func (h *Handler) readCall(w http.ResponseWriter, r *http.Request) (call sandboxfusion.Call, err error) {
	if err := checkJSONType(r.Header); err != nil {
		return call, err
	}
	body, err := readBody(w, r, jobs.MaxRequestBytes, jobs.JSONTooLarge)
	if err != nil {
		return call, err
	}
	// A call that asks for more than the service allows gets that, so one above the tenant's largest gets those.
	limits := h.limits.CappedBy(jobs.CallerOf(r.Context()).Bounds().Largest)
	call, err = sandboxfusion.Decode(body, sandboxfusion.Settings{Limits: limits, StartDeadline: h.maxStartWithin})
	if err == nil {
		err = h.checkRequest(call.Request)
	}
	return call, err
}

// runCall holds the request until its job has ended, and cancels a job that nothing waits for any longer: its client
// has disconnected, or the time of the call is over. stored releases the memory of the body.
func (h *Handler) runCall(w http.ResponseWriter, r *http.Request, call sandboxfusion.Call, stored func()) {
	state := requestStateOf(r)
	ctx, stop := h.waitContext(r)
	defer stop()
	wait := call.Queue + call.Run
	// Not all connections support deadlines; then the server's own applies.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(wait + responseTimeout))
	request := call.Request
	call.Request = jobs.Request{} // its memory would stay for the wait
	record, release, err := h.jobs.Execute(ctx, request, state.requestID, wait, stored)
	defer release()
	state.jobID = record.ID
	withdrawn := false
	if record.ID != "" && !record.State.Ended() {
		withdrawn = h.cancelCall(r, record.ID)
	}
	switch {
	case err != nil && endedByDrain(ctx):
		err = drainError()
	case err == nil && !record.State.Ended():
		err = overdue(withdrawn, call)
	case err == nil && record.Outcome == nil:
		err = fmt.Errorf("job %s is %s and has no outcome", record.ID, record.State)
	}
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	h.respondCall(w, r, call, record.Outcome)
}

// overdue returns the error for a job that did not end in time; withdrawn reports that it did not run.
func overdue(withdrawn bool, call sandboxfusion.Call) error {
	if withdrawn {
		return &jobs.Error{
			Code: jobs.CodeNotStarted, RetryAfterSeconds: 1, Message: fmt.Sprintf(
				"no worker could start the job within %s; it was withdrawn and did not run", call.Queue),
		}
	}
	return jobs.Unavailable("the job took too long to end and was cancelled", nil)
}

// cancelCall cancels a job, and counts a client that has disconnected. It reports whether the job was withdrawn before
// it ran: a worker may have started it since its state was read.
func (h *Handler) cancelCall(r *http.Request, id string) (withdrawn bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), cancelTimeout)
	defer cancel()
	record, release, err := h.jobs.Cancel(ctx, id)
	if err == nil {
		withdrawn = record.State == jobs.StateCancelled
		release()
	} else if jobs.CodeOf(err) != jobs.CodeAlreadyFinished {
		h.logger.WarnContext(r.Context(), "cannot cancel job that nothing waits for", "job_id", id, "error", err)
	}
	if r.Context().Err() != nil {
		h.metrics.ObserveHangUp(err == nil)
	}
	return withdrawn
}

// fetched is a file of the response.
type fetched struct {
	name string
	file jobs.OutputFile
}

// respondCall responds with a job that ended. It encodes the files while it sends them, so that it never holds them.
func (h *Handler) respondCall(w http.ResponseWriter, r *http.Request, call sandboxfusion.Call, outcome *jobs.Outcome) {
	if outcome.Failure != nil {
		requestStateOf(r).audit.SetOutcome(string(outcome.Failure.Code))
	}
	response, err := sandboxfusion.NewResponse(call, outcome)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	files, err := h.findFetched(r.Context(), call, outcome)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	head, err := json.Marshal(response, encoding)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	head = append(bytes.TrimSuffix(head, []byte("}")), `,"files":{`...)
	buffered := bufio.NewWriterSize(w, membudget.StepBytes)
	if err := errors.Join(h.sendFetched(r.Context(), buffered, head, files), buffered.Flush()); err != nil {
		state := requestStateOf(r)
		h.logger.WarnContext(r.Context(), "response aborted", "error", err,
			"request_id", state.requestID, "job_id", state.jobID)
		panic(http.ErrAbortHandler)
	}
}

// findFetched returns the files that the client wants and the job left. It returns an error if one cannot be opened,
// while there can still be a response about it.
func (h *Handler) findFetched(
	ctx context.Context, call sandboxfusion.Call, outcome *jobs.Outcome,
) (files []fetched, err error) {
	for _, wanted := range call.Fetch {
		file, left := wanted.Find(outcome)
		if !left {
			continue
		}
		content, err := h.files.Open(ctx, file.Key)
		if err != nil {
			return nil, fmt.Errorf("read a fetched file: %w", err)
		}
		_ = content.Close()
		files = append(files, fetched{wanted.Name, file})
	}
	return files, nil
}

// sendFetched sends the head and the files as members of the object that the head ends with, and the end of both.
func (h *Handler) sendFetched(ctx context.Context, w io.Writer, head []byte, files []fetched) error {
	for i, f := range files {
		name, err := jsontext.AppendQuote(nil, f.name)
		if err != nil {
			return err
		}
		if i > 0 {
			head = append(head, ',')
		}
		head = append(append(head, name...), `:"`...)
		if _, err := w.Write(head); err != nil {
			return err
		}
		if err := h.sendBase64(ctx, w, f.file); err != nil {
			return err
		}
		head = append(head[:0], '"')
	}
	_, err := w.Write(append(head, "}}\n"...))
	return err
}

// sendBase64 sends a file's content in base64.
func (h *Handler) sendBase64(ctx context.Context, w io.Writer, file jobs.OutputFile) error {
	content, err := h.files.Open(ctx, file.Key)
	if err != nil {
		return err
	}
	defer content.Close()
	encoder := base64.NewEncoder(base64.StdEncoding, w)
	n, err := io.Copy(encoder, content)
	if err == nil && n != file.Size {
		err = fmt.Errorf("a stored file has %d bytes instead of %d", n, file.Size)
	}
	return errors.Join(err, encoder.Close())
}
