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
	// hold is how long the service is asked to hold an answer; at most 30 s.
	hold = 25 * time.Second
	// leastHold tells an answer that was held from one that came at once, and is the
	// pause after the latter.
	leastHold = 500 * time.Millisecond
)

// Run runs a script and waits for its end, also beyond what the service waits. A
// job that failed comes back together with its *Error. If ctx ends first, the job
// goes on; use Submit and Wait to know its id in time.
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

// failedJob is the job that an error is about; nil if it is about none.
func failedJob(err error) *Job {
	var e *Error
	if !errors.As(err, &e) {
		return nil
	}
	return e.job
}

// Submit hands a script in and does not wait. The job has its id and status.
func (c *Client) Submit(ctx context.Context, request Request) (*Job, error) {
	post, err := request.call(true)
	if err != nil {
		return nil, err
	}
	post.query = nil // nothing has ended yet
	var job Job
	if _, err := c.fetch(ctx, post, &job); err != nil {
		return failedJob(err), err
	}
	return &job, nil
}

// GetOption changes how a job is read.
type GetOption func(url.Values)

// Hold has the service hold its answer until the job ended, for d at most; more
// than 30 s counts as 30 s.
func Hold(d time.Duration) GetOption {
	return func(query url.Values) { query.Set("wait", strconv.FormatInt(d.Milliseconds(), 10)+"ms") }
}

// InlineFiles asks for small files in the job itself, in base64.
func InlineFiles() GetOption {
	return func(query url.Values) { query.Set("inline_files", "true") }
}

func inlineFiles() url.Values { return url.Values{"inline_files": {"true"}} }

// Get reads a job as it stands. One that failed is no error: its Code says so.
func (c *Client) Get(ctx context.Context, id string, options ...GetOption) (*Job, error) {
	query := url.Values{}
	for _, option := range options {
		option(query)
	}
	var job Job
	if _, err := c.fetch(ctx, call{method: http.MethodGet, path: []string{"jobs", id}, query: query}, &job); err != nil {
		return nil, err
	}
	return &job, nil
}

// Wait waits for a job's end. One that failed or was cancelled comes back
// together with its *Error. If ctx ends first, the job is as it was last seen.
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
		now, err := c.patient().Get(ctx, job.JobID, options...)
		if err != nil {
			return job, err
		}
		job = now
		if Ended(job.Status) {
			return job, Failure(job)
		}
		if err := paced(ctx, began); err != nil {
			return job, err
		}
	}
}

// paced keeps questions apart whose answers are not held.
func paced(ctx context.Context, began time.Time) error {
	if time.Since(began) < leastHold && !pause(ctx, leastHold) {
		<-ctx.Done() // it is within a pause of its deadline
	}
	return ctx.Err()
}

// ListOptions say which jobs to list.
type ListOptions struct {
	// Status is where they must stand; "" lists all.
	Status JobStatus
	// PageSize is how many are asked for at once, 1 to 200; 0 is 50.
	PageSize int
}

// List gives all jobs, newest first, a page at a time. An error is the last that
// it gives.
func (c *Client) List(ctx context.Context, options ListOptions) iter.Seq2[JobSummary, error] {
	return func(yield func(JobSummary, error) bool) {
		query := url.Values{}
		if options.Status != "" {
			query.Set("status", string(options.Status))
		}
		if options.PageSize != 0 {
			query.Set("limit", strconv.Itoa(options.PageSize))
		}
		for {
			var page api.JobList
			if _, err := c.fetch(ctx, call{method: http.MethodGet, path: []string{"jobs"}, query: query}, &page); err != nil {
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

// Cancel cancels a job. One that waited is cancelled when it returns; one that
// runs, and is then given as running, is killed within moments. To cancel twice
// is no error; a job that ended by itself gives CodeAlreadyFinished.
func (c *Client) Cancel(ctx context.Context, id string) (*Job, error) {
	var job Job
	if _, err := c.fetch(ctx, call{method: http.MethodDelete, path: []string{"jobs", id}}, &job); err != nil {
		return nil, err
	}
	return &job, nil
}

// File opens a file that a job left, by its name in Job.Files. The caller closes
// it. A read fails if the connection breaks before the end.
func (c *Client) File(ctx context.Context, jobID, name string) (io.ReadCloser, error) {
	path := append([]string{"jobs", jobID, "files"}, strings.Split(name, "/")...)
	response, err := c.stream(ctx, call{method: http.MethodGet, path: path})
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}
