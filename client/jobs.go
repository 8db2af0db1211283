package client

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cellblock/api"
)

const (
	// hold is how long the service is asked to hold its response. Its maximum is 30 s.
	hold = 25 * time.Second
	// minHold is the time below which a response counts as not held, and the pause after such a response.
	minHold = 500 * time.Millisecond
)

// Run runs a script and waits for its end, also longer than the service holds a response. It returns a failed job
// together with its *Error. If ctx is done first, the job continues; to know its id in that case, use Submit and Wait.
func (c *Client) Run(ctx context.Context, request Request) (*Job, error) {
	post, err := request.call(false)
	if err != nil {
		return nil, err
	}
	var job Job
	status, err := c.fetch(ctx, post, &job)
	switch {
	case err != nil:
		return failedJob(err), err
	case status == http.StatusOK:
		return &job, nil
	default:
		return c.wait(ctx, &job, request.InlineFiles)
	}
}

// failedJob returns the job that an error is about; nil if there is none.
func failedJob(err error) *Job {
	var e *Error
	if !errors.As(err, &e) {
		return nil
	}
	return e.job
}

// Submit submits a script and does not wait. The returned job has its id and status.
func (c *Client) Submit(ctx context.Context, request Request) (*Job, error) {
	post, err := request.call(true)
	if err != nil {
		return nil, err
	}
	post.query = nil // no result yet
	var job Job
	if _, err := c.fetch(ctx, post, &job); err != nil {
		return failedJob(err), err
	}
	return &job, nil
}

// GetOption is an option of Get and GetBatch.
type GetOption func(url.Values)

// Hold makes the service hold its response until the job has ended, for at most d. Values above 30 s count as 30 s.
func Hold(d time.Duration) GetOption {
	return func(query url.Values) { query.Set("wait", strconv.FormatInt(d.Milliseconds(), 10)+"ms") }
}

// InlineFiles includes small files in the job itself, in base64.
func InlineFiles() GetOption {
	return func(query url.Values) { query.Set("inline_files", "true") }
}

func inlineFiles() url.Values { return url.Values{"inline_files": {"true"}} }

// Get returns the current state of a job. A failed job is no error: its Code is set.
func (c *Client) Get(ctx context.Context, id string, options ...GetOption) (*Job, error) {
	query := url.Values{}
	for _, option := range options {
		option(query)
	}
	var job Job
	if _, err := c.fetch(ctx, call{method: http.MethodGet, path: []string{"jobs", id}, query: query},
		&job); err != nil {
		return nil, err
	}
	return &job, nil
}

// Wait blocks until a job has ended. It returns a failed or cancelled job together with its *Error. If ctx is done
// first, it returns the job as last read.
func (c *Client) Wait(ctx context.Context, id string) (*Job, error) {
	return c.wait(ctx, &Job{JobID: id}, false)
}

func (c *Client) wait(ctx context.Context, job *Job, inline bool) (*Job, error) {
	options := []GetOption{Hold(hold)}
	if inline {
		options = append(options, InlineFiles())
	}
	for {
		began := time.Now()
		now, err := c.withMoreAttempts().Get(ctx, job.JobID, options...)
		if err != nil {
			return job, err
		}
		job = now
		if Ended(job.Status) {
			return job, Failure(job)
		}
		if err := avoidBusyPolling(ctx, began); err != nil {
			return job, err
		}
	}
}

// avoidBusyPolling waits for minHold if the response was not held, so that the client does not poll in a tight loop.
func avoidBusyPolling(ctx context.Context, began time.Time) error {
	if time.Since(began) < minHold && !pause(ctx, minHold) {
		<-ctx.Done() // the deadline is less than a pause away
	}
	return ctx.Err()
}

// ListOptions select the jobs that List returns.
type ListOptions struct {
	// Status selects the jobs with this status; "" selects all.
	Status JobStatus
	// Tenant selects the jobs of this tenant; "" selects all that the token may read.
	Tenant string
	// PageSize is the number of jobs per request, 1 to 200; 0 is 50.
	PageSize int
}

// List returns all jobs, newest first, and fetches them page by page. An error is the last item.
func (c *Client) List(ctx context.Context, options ListOptions) iter.Seq2[JobSummary, error] {
	return func(yield func(JobSummary, error) bool) {
		query := url.Values{}
		if options.Status != "" {
			query.Set("status", string(options.Status))
		}
		if options.Tenant != "" {
			query.Set("tenant", options.Tenant)
		}
		if options.PageSize != 0 {
			query.Set("limit", strconv.Itoa(options.PageSize))
		}
		for {
			var page api.JobList
			if _, err := c.fetch(ctx, call{method: http.MethodGet, path: []string{"jobs"}, query: query},
				&page); err != nil {
				yield(JobSummary{}, err)
				return
			}
			for _, job := range page.Jobs {
				if !yield(job, nil) {
					return
				}
			}
			if page.NextCursor == nil {
				return
			}
			query.Set("cursor", *page.NextCursor)
		}
	}
}

// Cancel cancels a job. A queued job is cancelled when Cancel returns. A running one is returned as running and killed
// within moments. Cancelling twice is no error; for a job that already ended the error has CodeAlreadyFinished.
func (c *Client) Cancel(ctx context.Context, id string) (*Job, error) {
	var job Job
	if _, err := c.fetch(ctx, call{method: http.MethodDelete, path: []string{"jobs", id}}, &job); err != nil {
		return nil, err
	}
	return &job, nil
}

// File opens a file that a job left, by its name in Job.Files. The caller closes it. A read fails if the connection
// breaks before the end.
func (c *Client) File(ctx context.Context, jobID, name string) (io.ReadCloser, error) {
	path := append([]string{"jobs", jobID, "files"}, strings.Split(name, "/")...)
	response, err := c.stream(ctx, call{method: http.MethodGet, path: path})
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}
