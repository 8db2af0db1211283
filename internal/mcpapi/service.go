package mcpapi

import (
	"context"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// Service runs and reads jobs for the tools. Its errors are the context's, or a *jobs.Error for the model. The caller
// calls release once it no longer uses the job; it is never nil.
type Service interface {
	// Run accepts a job and returns it once it has ended or wait has passed: ended, running or queued. output, if not
	// nil, is called with the script's standard output as it arrives, by one goroutine, and not after Run has
	// returned. If ctx ends first, Run cancels the job and returns ctx's error.
	Run(
		ctx context.Context, request Request, wait time.Duration, output func(text string),
	) (job *api.Job, release func(), err error)
	// Get returns a job once it has ended or wait has passed. Errors: CodeNotFound, CodeUnavailable.
	Get(ctx context.Context, id string, wait time.Duration) (job *api.Job, release func(), err error)
	// Cancel ends a job. A running one is returned as running, and ends within moments. Errors: CodeAlreadyFinished,
	// CodeNotFound, CodeUnavailable.
	Cancel(ctx context.Context, id string) (job *api.Job, release func(), err error)
	// Open opens a file that a job left. Errors: CodeNotFound, CodeUnavailable.
	Open(ctx context.Context, id, name string) (*File, error)
	// Environments returns the environments that jobs can run in, the default first. Errors: CodeUnavailable.
	Environments(ctx context.Context) ([]jobs.EnvironmentStatus, error)
	// BaseURL returns the URL of the API as the caller of ctx reaches it, without a slash at its end; "" if that is
	// unknown.
	BaseURL(ctx context.Context) string
	// Retention is the least time for which a job can be read after its creation; 0 if that is unknown.
	Retention() time.Duration
}

// File is an open file of a job. The reader closes Content.
type File struct {
	Name      string
	Size      int64
	MediaType string
	// Content is an io.Seeker too if it can be.
	Content io.ReadCloser
}

// Request is the job that run_python asks for. Its fields are not checked: see Body.
type Request struct {
	Code  string
	Entry string
	// Args is an object or an array; nil for none.
	Args  jsontext.Value
	Stdin string
	Files []InputFile
	// TimeoutSeconds is the limit of wall time; nil for the service's.
	TimeoutSeconds *float64
	// Environment is "" for the default.
	Environment string
}

// InputFile is a file for the script, with its content, or one that an earlier job left or that was uploaded.
type InputFile struct {
	Path          string  `json:"path"`
	Content       *string `json:"content,omitzero"`
	ContentBase64 *string `json:"content_base64,omitzero"`
	// JobID and Name refer to a file of an earlier job, and FileID to an uploaded one.
	JobID  string `json:"job_id,omitzero"`
	Name   string `json:"name,omitzero"`
	FileID string `json:"file_id,omitzero"`
}

// Body returns the body of POST /execute for the request, so that jobs.DecodeRequest checks it like every other.
func (r *Request) Body() ([]byte, error) {
	type limits struct {
		WallSeconds float64 `json:"wall_seconds"`
	}
	body := struct {
		Script      string         `json:"script"`
		Entry       string         `json:"entry"`
		Args        jsontext.Value `json:"args,omitzero"`
		Stdin       string         `json:"stdin,omitzero"`
		Files       []InputFile    `json:"files,omitempty"`
		Limits      *limits        `json:"limits,omitzero"`
		Environment string         `json:"environment,omitzero"`
	}{
		Script: r.Code, Entry: r.Entry, Args: r.Args, Stdin: r.Stdin, Files: r.Files, Environment: r.Environment,
	}
	if r.TimeoutSeconds != nil {
		body.Limits = &limits{*r.TimeoutSeconds}
	}
	return json.Marshal(body, encoding)
}

// encoding passes on values of scripts and of clients as they are spelled.
var encoding = json.JoinOptions(
	jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true),
)
