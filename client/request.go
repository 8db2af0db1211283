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

// formFrom is from how many bytes of files on a request goes as a form, which
// needs no base64 and may be larger.
const formFrom = 256 << 10

// Request is what to run. Only Script must be there. The service bounds each
// field and refuses what is above its bound by name.
type Request struct {
	// Script is the Python source, with a main().
	Script string
	// Args are main()'s keyword arguments: anything that is an object in JSON; nil for none.
	Args any
	// Stdin is what the script reads, Env what is added to its environment.
	Stdin string
	Env   map[string]string
	// Files are placed in the script's working directory.
	Files []File
	// Limits are lower ones than the service's.
	Limits Limits
	// Priority is "high", "default" or "low"; "" lets the service choose.
	Priority string
	// CallbackURL is where the end is posted to; "" for nowhere.
	CallbackURL string
	// StartWithin is how long after its acceptance the job may be started: later it is
	// dropped as CodeNotStarted. 0 leaves it to the service, whose own bound is the most.
	StartWithin time.Duration
	// InlineFiles asks for small files in the job itself, in base64.
	InlineFiles bool
	// IdempotencyKey makes a request that is made again, also by another program,
	// the same job: 1 to 255 printable ASCII characters. "" is a new job each time.
	IdempotencyKey string
}

// File is a file for a script.
type File struct {
	// Path is relative to the working directory, with "/" between its parts.
	Path    string
	Content []byte
}

// Limits of a job; 0 leaves a limit as the service has it.
type Limits struct {
	// Wall and CPU are time, from 0.1 s.
	Wall, CPU time.Duration
	// MemoryMB is in MiB, from 32.
	MemoryMB float64
	// Processes counts threads too.
	Processes int
	// OutputBytes is what is kept of stdout, and of stderr.
	OutputBytes int
}

func (l Limits) wire() *api.RequestLimits {
	if l == (Limits{}) {
		return nil
	}
	return &api.RequestLimits{
		WallSeconds: given(float32(l.Wall.Seconds())), CPUSeconds: given(float32(l.CPU.Seconds())),
		MemoryMb: given(float32(l.MemoryMB)), Processes: given(l.Processes), OutputBytes: given(l.OutputBytes),
	}
}

// given is a pointer to a value, and nil for none.
func given[T comparable](value T) *T {
	var none T
	if value == none {
		return nil
	}
	return &value
}

// wire is the request as the contract has it, without its files.
func (r *Request) wire(async bool) (api.ExecuteRequest, error) {
	wire := api.ExecuteRequest{
		Script: r.Script, Async: given(async), Stdin: given(r.Stdin), Limits: r.Limits.wire(),
		Priority: given(r.Priority), CallbackURL: given(r.CallbackURL), StartWithin: given(r.StartWithin.Seconds()),
	}
	if len(r.Env) > 0 {
		wire.Env = &r.Env
	}
	if r.Args != nil {
		args, err := encode(r.Args)
		if err != nil {
			return wire, fmt.Errorf("args are no JSON: %w", err)
		}
		wire.Args = (*jsontext.Value)(&args)
	}
	return wire, nil
}

// json is the whole request as JSON.
func (r *Request) json(async bool) ([]byte, error) {
	wire, err := r.wire(async)
	if err != nil {
		return nil, err
	}
	var files []api.InputFile
	for _, file := range r.Files {
		content := map[string]string{"path": file.Path}
		if utf8.Valid(file.Content) {
			content["content"] = string(file.Content)
		} else {
			content["content_base64"] = base64.StdEncoding.EncodeToString(file.Content)
		}
		encoded, err := encode(content)
		if err != nil {
			return nil, fmt.Errorf("the file %q: %w", file.Path, err)
		}
		files = append(files, encoded)
	}
	if files != nil {
		wire.Files = &files
	}
	encoded, err := encode(wire)
	if err != nil {
		return nil, fmt.Errorf("the request is no JSON: %w", err)
	}
	return encoded, nil
}

// form is the whole request as a form, and its content type.
func (r *Request) form(async bool) (body []byte, contentType string, err error) {
	wire, err := r.wire(async)
	if err != nil {
		return nil, "", err
	}
	encoded, err := encode(wire)
	if err != nil {
		return nil, "", fmt.Errorf("the request is no JSON: %w", err)
	}
	var fields map[string]jsontext.Value
	if err := decode(encoded, &fields); err != nil {
		return nil, "", err
	}
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, name := range []string{"script", "args", "stdin", "env", "limits", "async", "priority", "callback_url", "start_within"} {
		value, there := fields[name]
		if !there {
			continue
		}
		text := string(value)
		if value.Kind() == '"' { // text goes as it is, the rest as JSON
			if err := decode(value, &text); err != nil {
				return nil, "", err
			}
		}
		_ = form.WriteField(name, text) // a buffer takes everything
	}
	for _, file := range r.Files {
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

// call is the request as it is sent, the same at every attempt.
func (r *Request) call(async bool) (call, error) {
	total := 0
	for _, file := range r.Files {
		total += len(file.Content)
	}
	var body []byte
	var err error
	contentType := jsonType
	if total < formFrom {
		body, err = r.json(async)
	} else {
		body, contentType, err = r.form(async)
	}
	if err != nil {
		return call{}, err
	}
	post := call{method: http.MethodPost, path: []string{"execute"}, body: body, header: http.Header{"Content-Type": {contentType}}}
	post.setKey(r.IdempotencyKey)
	if r.InlineFiles {
		post.query = inlineFiles()
	}
	return post, nil
}

// setKey makes it safe to send a POST again.
func (c *call) setKey(key string) {
	if key == "" {
		key = uuid.NewString()
	}
	c.header.Set("Idempotency-Key", key)
}
