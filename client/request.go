package client

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime/multipart"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"cellblock/api"
)

// multipartThreshold is the total size of files from which a request is sent as a multipart form, which needs no base64
// and may be larger.
const multipartThreshold = 256 << 10

// Request is a script to run. Only Script is required. The service refuses a field above its limit and names it.
type Request struct {
	// Script is the Python source: with a main(), unless Entry is another one.
	Script string
	// Entry is how the script is run: EntryMain (as is ""), EntryScript or EntryCell.
	Entry string
	// Environment is the name of the environment that runs the script; "" leaves the choice to the service.
	Environment string
	// Args are main()'s keyword arguments: a value that encodes to a JSON object; nil for none. With EntryScript they
	// are a list of strings, which become sys.argv[1:].
	Args any
	// Stdin is the script's standard input; Env is added to its environment.
	Stdin string
	Env   map[string]string
	// Files are written into the script's working directory.
	Files []File
	// Limits lower the service's limits.
	Limits Limits
	// Priority is "high", "default" or "low"; "" leaves the choice to the service.
	Priority string
	// CallbackURL is the URL to which the service posts the ended job; "" for none.
	CallbackURL string
	// StartWithin is how long after its acceptance the job may start. Later it is withdrawn with CodeNotStarted. 0
	// uses the service's own bound, which is also the maximum.
	StartWithin time.Duration
	// Labels are for finding the job with List. Keys and values follow Kubernetes' rules for labels.
	Labels map[string]string
	// InlineFiles includes small files in the job itself, in base64.
	InlineFiles bool
	// IdempotencyKey makes a repeated request, also from another program, return the same job: 1 to 255 printable
	// ASCII characters. "" creates a new job each time.
	IdempotencyKey string
}

// Entries of a Request.
const (
	// EntryMain calls the script's main(), whose return value is Job.Result.
	EntryMain = "main"
	// EntryScript runs the script as a program. Job.ExitCode is its exit code.
	EntryScript = "script"
	// EntryCell runs the script as a cell of a notebook: Job.Result is the value of its last expression.
	EntryCell = "cell"
)

// File is an input file of a script: with its content, or one that the service has already.
type File struct {
	// Path is relative to the working directory, with "/" as separator.
	Path    string
	Content []byte
	// JobID and Name are a file that an earlier job left, by its name in Job.Files.
	JobID, Name string
	// FileID is a stored file; see UploadFile.
	FileID string
}

// refers reports whether the service has the file already.
func (f File) refers() bool { return f.JobID != "" || f.FileID != "" }

// wire returns the contract's file.
func (f File) wire() (api.InputFile, error) {
	wire := map[string]string{"path": f.Path}
	switch {
	case f.FileID != "":
		wire["file_id"] = f.FileID
	case f.JobID != "":
		wire["job_id"], wire["name"] = f.JobID, f.Name
	case utf8.Valid(f.Content):
		wire["content"] = string(f.Content)
	default:
		wire["content_base64"] = base64.StdEncoding.EncodeToString(f.Content)
	}
	encoded, err := encode(wire)
	if err != nil {
		return nil, fmt.Errorf("the file %q: %w", f.Path, err)
	}
	return encoded, nil
}

// wireFiles returns the contract's files, without those that skip reports; nil for none.
func wireFiles(files []File, skip func(File) bool) (*[]api.InputFile, error) {
	var wires []api.InputFile
	for _, file := range files {
		if skip(file) {
			continue
		}
		wire, err := file.wire()
		if err != nil {
			return nil, err
		}
		wires = append(wires, wire)
	}
	if wires == nil {
		return nil, nil //nolint:nilnil // the field is left out
	}
	return &wires, nil
}

// Limits are the limits of a job; 0 keeps the service's limit.
type Limits struct {
	// Wall and CPU are time limits, at least 0.1 s.
	Wall, CPU time.Duration
	// MemoryMB is in MiB, at least 32.
	MemoryMB float64
	// Processes counts threads too.
	Processes int
	// OutputBytes is the number of bytes kept of stdout, and of stderr.
	OutputBytes int
}

func (l Limits) wire() *api.RequestLimits {
	if l == (Limits{}) {
		return nil
	}
	return &api.RequestLimits{
		WallSeconds: optional(float32(l.Wall.Seconds())), CPUSeconds: optional(float32(l.CPU.Seconds())),
		MemoryMb: optional(float32(l.MemoryMB)), Processes: optional(l.Processes), OutputBytes: optional(l.OutputBytes),
	}
}

// optional returns a pointer to value; nil for the zero value.
func optional[T comparable](value T) *T {
	var none T
	if value == none {
		return nil
	}
	return &value
}

// wire returns the contract's request, without files.
func (r *Request) wire(async bool) (api.ExecuteRequest, error) {
	wire := api.ExecuteRequest{
		Script: r.Script, Async: optional(async), Stdin: optional(r.Stdin), Limits: r.Limits.wire(),
		Priority: optional(r.Priority), CallbackURL: optional(r.CallbackURL),
		StartWithin: optional(r.StartWithin.Seconds()),
		Entry:       optional(r.Entry),
		Environment: optional(r.Environment),
		Labels:      r.Labels,
	}
	if len(r.Env) > 0 {
		wire.Env = &r.Env
	}
	if r.Args != nil {
		args, err := encode(r.Args)
		if err != nil {
			return wire, fmt.Errorf("args cannot be encoded as JSON: %w", err)
		}
		wire.Args = (*jsontext.Value)(&args)
	}
	return wire, nil
}

// json encodes the whole request as JSON.
func (r *Request) json(async bool) ([]byte, error) {
	wire, err := r.wire(async)
	if err != nil {
		return nil, err
	}
	if wire.Files, err = wireFiles(r.Files, func(File) bool { return false }); err != nil {
		return nil, err
	}
	encoded, err := encode(wire)
	if err != nil {
		return nil, fmt.Errorf("the request cannot be encoded as JSON: %w", err)
	}
	return encoded, nil
}

// form encodes the whole request as a multipart form, and returns its content type.
func (r *Request) form(async bool) (body []byte, contentType string, err error) {
	wire, err := r.wire(async)
	if err != nil {
		return nil, "", err
	}
	encoded, err := encode(wire)
	if err != nil {
		return nil, "", fmt.Errorf("the request cannot be encoded as JSON: %w", err)
	}
	var fields map[string]jsontext.Value
	if err := decode(encoded, &fields); err != nil {
		return nil, "", err
	}
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, name := range []string{
		"script", "args", "stdin", "env", "limits", "async", "priority", "callback_url",
		"start_within", "entry",
		"environment", "labels",
	} {
		value, there := fields[name]
		if !there {
			continue
		}
		text := string(value)
		if value.Kind() == '"' { // text is sent as it is, the rest as JSON
			if err := decode(value, &text); err != nil {
				return nil, "", err
			}
		}
		_ = form.WriteField(name, text) // writing to a buffer cannot fail
	}
	if err := r.writeRefs(form); err != nil {
		return nil, "", err
	}
	for _, file := range r.Files {
		if file.refers() {
			continue
		}
		part, err := form.CreateFormFile("files", file.Path)
		if err != nil {
			return nil, "", err
		}
		_, _ = part.Write(file.Content)
	}
	if err := form.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), form.FormDataContentType(), nil
}

// writeRefs writes the part with the files that the service has already.
func (r *Request) writeRefs(form *multipart.Writer) error {
	refs, err := wireFiles(r.Files, func(f File) bool { return !f.refers() })
	if err != nil || refs == nil {
		return err
	}
	encoded, err := encode(*refs)
	if err != nil {
		return fmt.Errorf("the files: %w", err)
	}
	return form.WriteField("file_refs", string(encoded))
}

// call encodes the request once, so that every attempt sends the same.
func (r *Request) call(async bool) (call, error) {
	total := 0
	for _, file := range r.Files {
		total += len(file.Content)
	}
	var body []byte
	var err error
	contentType := jsonType
	if total < multipartThreshold {
		body, err = r.json(async)
	} else {
		body, contentType, err = r.form(async)
	}
	if err != nil {
		return call{}, err
	}
	post := call{
		method: http.MethodPost, path: []string{"execute"}, body: body,
		header: http.Header{"Content-Type": {contentType}},
	}
	post.setKey(r.IdempotencyKey)
	if r.InlineFiles {
		post.query = inlineFiles()
	}
	return post, nil
}

// setKey sets the Idempotency-Key, which makes it safe to send a POST again. It generates a key if key is "".
func (c *call) setKey(key string) {
	if key == "" {
		key = uuid.NewString()
	}
	c.header.Set("Idempotency-Key", key)
}
