package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"cellblock/client"
	"cellblock/internal/jobs"
	"cellblock/internal/mcpapi"
)

// mcpService is the tools' service by the client.
type mcpService struct {
	client *client.Client
	// baseURL is the service's URL as models see it: without a user and a password.
	baseURL string
}

// newMCPService returns the service at serviceURL, which c uses.
func newMCPService(c *client.Client, serviceURL string) *mcpService {
	s := &mcpService{client: c}
	if base, err := url.Parse(serviceURL); err == nil {
		s.baseURL = (&url.URL{Scheme: base.Scheme, Host: base.Host, Path: strings.TrimRight(base.Path, "/")}).String()
	}
	return s
}

func noRelease() {}

// Run submits a job and waits for it, and cancels it if ctx ends.
func (s *mcpService) Run(
	ctx context.Context, request mcpapi.Request, wait time.Duration, output func(text string),
) (*client.Job, func(), error) {
	wire, err := clientRequest(request)
	if err != nil {
		return nil, noRelease, err
	}
	began := time.Now()
	submitted, err := s.client.Submit(ctx, wire)
	if err != nil {
		return nil, noRelease, toolError(err)
	}
	if output != nil {
		s.watch(ctx, submitted.JobID, wait, output)
	}
	job, err := s.wait(ctx, submitted.JobID, wait-time.Since(began))
	if ctx.Err() != nil {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
		defer cancel()
		_, _ = s.client.Cancel(bounded, submitted.JobID) // it may have ended
		return nil, noRelease, ctx.Err()
	}
	if err != nil {
		return nil, noRelease, toolError(err)
	}
	return job, noRelease, nil
}

// watch passes the job's output on until its end, or until wait has passed. Its errors need no report: the answer has
// the output too.
func (s *mcpService) watch(ctx context.Context, id string, wait time.Duration, output func(text string)) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for event, err := range s.client.Watch(ctx, id) {
		if err != nil {
			return
		}
		if event.Kind == client.EventStdout {
			output(event.Text)
		}
	}
}

// wait returns a job once it has ended or wait has passed, which may be longer than the service holds a response.
func (s *mcpService) wait(ctx context.Context, id string, wait time.Duration) (*client.Job, error) {
	get := getCommand{ID: id, Wait: max(0, wait)}
	return get.read(ctx, s.client)
}

// Get returns a job once it has ended or wait has passed.
func (s *mcpService) Get(ctx context.Context, id string, wait time.Duration) (*client.Job, func(), error) {
	job, err := s.wait(ctx, id, wait)
	return job, noRelease, toolError(err)
}

// Cancel ends a job.
func (s *mcpService) Cancel(ctx context.Context, id string) (*client.Job, func(), error) {
	job, err := s.client.Cancel(ctx, id)
	return job, noRelease, toolError(err)
}

// Open opens a file that a job left.
func (s *mcpService) Open(ctx context.Context, id, name string) (*mcpapi.File, error) {
	job, err := s.client.Get(ctx, id)
	if err != nil {
		return nil, toolError(err)
	}
	for _, file := range job.Files {
		if file.Name != name {
			continue
		}
		content, err := s.client.File(ctx, id, name)
		if err != nil {
			return nil, toolError(err)
		}
		return &mcpapi.File{Name: name, Size: file.Size, MediaType: file.MediaType, Content: content}, nil
	}
	return nil, jobs.NotFound("job or file")
}

// Environments returns the environments of the service.
func (s *mcpService) Environments(ctx context.Context) ([]jobs.EnvironmentStatus, error) {
	listed, err := s.client.Environments(ctx)
	if err != nil {
		return nil, toolError(err)
	}
	all := make([]jobs.EnvironmentStatus, len(listed))
	for i, each := range listed {
		all[i] = jobs.EnvironmentStatus{Workers: each.Workers, Environment: jobs.Environment{
			Name: each.Name, Description: each.Description, Python: each.Python,
		}}
		for _, p := range each.Packages {
			all[i].Packages = append(all[i].Packages, jobs.Package{Name: p.Name, Version: p.Version})
		}
	}
	return all, nil
}

// BaseURL returns the service's URL.
func (s *mcpService) BaseURL(context.Context) string { return s.baseURL }

// Retention is a setting of the service, which it does not publish.
func (s *mcpService) Retention() time.Duration { return 0 }

// clientRequest returns the client's form of a request.
func clientRequest(request mcpapi.Request) (client.Request, error) {
	wire := client.Request{
		Script: request.Code, Entry: request.Entry, Stdin: request.Stdin, Environment: request.Environment,
		Priority: "high", // an agent waits for it
	}
	if request.Args != nil {
		wire.Args = request.Args
	}
	if seconds := request.TimeoutSeconds; seconds != nil {
		if *seconds <= 0 {
			return wire, jobs.Errorf(jobs.CodeInvalidRequest, `"timeout_seconds" must be a number above 0`)
		}
		wire.Limits.Wall = time.Duration(*seconds * float64(time.Second))
	}
	for i, file := range request.Files {
		each, err := clientFile(file)
		if err != nil {
			return wire, jobs.Errorf(jobs.CodeInvalidRequest, `"files[%d]" %v`, i, err)
		}
		wire.Files = append(wire.Files, each)
	}
	return wire, nil
}

// clientFile returns the client's form of an input file. The service checks what the client sends on.
func clientFile(file mcpapi.InputFile) (client.File, error) {
	wire := client.File{Path: file.Path, JobID: file.JobID, Name: file.Name, FileID: file.FileID}
	sources := 0
	for _, has := range []bool{
		file.Content != nil, file.ContentBase64 != nil, file.JobID != "" || file.Name != "", file.FileID != "",
	} {
		if has {
			sources++
		}
	}
	if sources != 1 || (file.JobID == "") != (file.Name == "") {
		return wire, errors.New(`needs one of "content", "content_base64", "job_id" with "name", and "file_id"`)
	}
	if file.Content != nil {
		wire.Content = []byte(*file.Content)
	}
	if file.ContentBase64 != nil {
		var err error
		if wire.Content, err = base64.StdEncoding.DecodeString(*file.ContentBase64); err != nil {
			return wire, errors.New(`has a "content_base64" that is not valid base64`)
		}
	}
	return wire, nil
}

// toolError returns the client's error as the tools expect it, without the service's URL, which may have a user and a
// password.
func toolError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	var known *client.Error
	if !errors.As(err, &known) {
		if failed := (*url.Error)(nil); errors.As(err, &failed) {
			err = failed.Err
		}
		return jobs.Unavailable(fmt.Sprintf("the Cellblock service did not answer: %v", err), nil)
	}
	return &jobs.Error{
		Code:    jobs.Code(cmp.Or(known.Code, client.CodeUnavailable)),
		Message: known.Message, RetryAfterSeconds: int(known.RetryAfter.Seconds()),
	}
}
