// Package sandboxfusion translates between SandboxFusion's POST /run_code and jobs: Decode reads a request of its
// clients, and NewResponse makes the body that they expect. It does no I/O.
//
// The form is that of the package sandbox-fusion 0.3 on PyPI. docs/sandboxfusion.md lists what differs.
package sandboxfusion

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
)

const (
	// defaultTimeout is compile_timeout and run_timeout of a request without them.
	defaultTimeout = 10 * time.Second
	// queueMargin is how long a call may wait in the queue beyond compile_timeout. Clients wait ten seconds longer than
	// both timeouts together, and do not repeat a call that they have given up.
	queueMargin = 7 * time.Second
	// maxQueue is the longest wait in the queue.
	maxQueue = 5 * time.Minute
	// leastRun and leastMemoryMB are the smallest limits that a job can have.
	leastRun      = 100 * time.Millisecond
	leastMemoryMB = 32
	// ignoredFile is a part of the names of files that SandboxFusion does not create.
	ignoredFile = "IGNORE_THIS_FILE"
)

// Call is a decoded request.
type Call struct {
	// Request is the job. Its start deadline is Queue.
	Request jobs.Request
	// Queue and Run are how long the job may wait for a worker, and how long it may run.
	Queue, Run time.Duration
	// RequestedRun is the run_timeout of the request. It is longer than Run if the service allows less.
	RequestedRun time.Duration
	// Fetch are the files that the client wants to have back, each once.
	Fetch []Fetch
}

// Fetch is a file that the client wants to have back.
type Fetch struct {
	// Name is as in the request, and Path the same without "./".
	Name, Path string
	// IsInput is set for an input file, which a job returns only if it has changed it.
	IsInput bool
}

// Settings bound calls.
type Settings struct {
	// Limits are the service's. A call that asks for more gets these.
	Limits jobs.Limits
	// StartDeadline is the longest start deadline of a job.
	StartDeadline time.Duration
}

// body is a request's body, as far as Python needs it. Other members, such as args for pytest, are ignored, as
// SandboxFusion does.
type body struct {
	Code           jsontext.Value `json:"code"`
	Language       jsontext.Value `json:"language"`
	Stdin          jsontext.Value `json:"stdin"`
	CompileTimeout jsontext.Value `json:"compile_timeout"`
	RunTimeout     jsontext.Value `json:"run_timeout"`
	MemoryLimitMB  jsontext.Value `json:"memory_limit_MB"`
	Files          jsontext.Value `json:"files"`
	FetchFiles     jsontext.Value `json:"fetch_files"`
}

// lenient leaves lone surrogates to jobs.DecodeRequest, which names the field.
var lenient = jsontext.AllowInvalidUTF8(true)

// Decode decodes a request's body. Timeouts and memory above the service's limits become those, and lower ones than
// any job can have are raised. Its errors have CodeInvalidRequest, CodeScriptTooLarge or CodeInputTooLarge.
func Decode(text []byte, settings Settings) (Call, error) {
	var b body
	if err := json.Unmarshal(text, &b, lenient); err != nil {
		return Call{}, &jobs.Error{
			Code: jobs.CodeInvalidRequest, Cause: err,
			Message: `the body must be a JSON object in UTF-8, with "code" and "language", and no name twice`,
		}
	}
	if err := b.checkLanguage(); err != nil {
		return Call{}, err
	}
	call, limits, err := b.bounds(settings)
	if err != nil {
		return Call{}, err
	}
	files, err := b.files()
	if err != nil {
		return Call{}, err
	}
	if call.Request, err = b.request(limits, files, call.Queue); err != nil {
		return Call{}, err
	}
	call.Fetch, err = b.fetch(call.Request.Inputs)
	return call, err
}

func (b body) checkLanguage() error {
	var language string
	switch err := json.Unmarshal(b.Language, &language); {
	case b.Language == nil:
		return jobs.Errorf(jobs.CodeInvalidRequest, `"language" is required; this service runs "python"`)
	case err != nil:
		return jobs.Errorf(jobs.CodeInvalidRequest, `"language" must be a string; this service runs "python"`)
	case language != "python":
		return jobs.Errorf(jobs.CodeInvalidRequest, `"language" is %.64q; this service runs "python" only`, language)
	}
	return nil
}

// limits are the limits of a request to this service.
type limits struct {
	WallSeconds float64 `json:"wall_seconds,omitzero"`
	MemoryMB    float64 `json:"memory_mb,omitzero"`
}

// bounds returns a call with its times, and the limits of its job. A limit that is not below the service's is left out:
// then the job gets the service's.
func (b body) bounds(settings Settings) (Call, limits, error) {
	var call Call
	compile, err := seconds("compile_timeout", b.CompileTimeout)
	if err != nil {
		return call, limits{}, err
	}
	if call.RequestedRun, err = seconds("run_timeout", b.RunTimeout); err != nil {
		return call, limits{}, err
	}
	memory, err := number("memory_limit_MB", b.MemoryLimitMB, -1)
	if err != nil {
		return call, limits{}, err
	}
	var l limits
	call.Queue = min(compile+queueMargin, maxQueue, settings.StartDeadline)
	call.Run = min(max(call.RequestedRun, leastRun), settings.Limits.Wall)
	if call.Run < settings.Limits.Wall {
		l.WallSeconds = call.Run.Seconds()
	}
	memoryMB := max(memory, leastMemoryMB)
	if memory > 0 && memoryMB < float64(settings.Limits.MemoryBytes)/(1<<20) {
		l.MemoryMB = memoryMB
	}
	return call, l, nil
}

// maxSeconds keeps a time within the range of a time.Duration.
const maxSeconds = 1e9

// seconds decodes a time above 0.
func seconds(name string, value jsontext.Value) (time.Duration, error) {
	n, err := number(name, value, defaultTimeout.Seconds())
	if err != nil {
		return 0, err
	}
	if n <= 0 {
		return 0, jobs.Errorf(jobs.CodeInvalidRequest, "%q must be a number of seconds above 0", name)
	}
	return time.Duration(min(n, maxSeconds) * float64(time.Second)), nil
}

// number decodes a number; fallback without one.
func number(name string, value jsontext.Value, fallback float64) (float64, error) {
	if value == nil {
		return fallback, nil
	}
	var n float64
	if value.Kind() != jsontext.KindNumber {
		return 0, jobs.Errorf(jobs.CodeInvalidRequest, "%q must be a number", name)
	}
	if err := json.Unmarshal(value, &n); err != nil {
		return 0, jobs.Errorf(jobs.CodeInvalidRequest, "%q is a number out of range", name)
	}
	return n, nil
}

// file is an input file in a request to this service.
type file struct {
	Path    string         `json:"path"`
	Content jsontext.Value `json:"content_base64"`
}

// files returns the input files, in the order of the body.
func (b body) files() ([]file, error) {
	if b.Files == nil {
		return nil, nil
	}
	wrong := jobs.Errorf(jobs.CodeInvalidRequest, `"files" must be an object of paths and base64 with padding`)
	if b.Files.Kind() != jsontext.KindBeginObject {
		return nil, wrong
	}
	dec := jsontext.NewDecoder(bytes.NewReader(b.Files), lenient)
	if _, err := dec.ReadToken(); err != nil {
		return nil, wrong
	}
	var files []file
	for dec.PeekKind() != jsontext.KindEndObject {
		token, err := dec.ReadToken()
		if err != nil {
			return nil, wrong
		}
		name := token.String() // a copy: the token is invalid after the next read
		content, err := dec.ReadValue()
		switch {
		case err != nil:
			return nil, wrong
		case content.Kind() == jsontext.KindNull || strings.Contains(name, ignoredFile):
			continue // SandboxFusion creates neither
		case content.Kind() != jsontext.KindString:
			return nil, wrong
		}
		if name != "" {
			name = path.Clean(name)
		}
		files = append(files, file{Path: name, Content: content.Clone()})
	}
	return files, nil
}

// request returns the job's request. It is decoded like a body of POST /execute, so that the same checks apply.
func (b body) request(l limits, files []file, queue time.Duration) (jobs.Request, error) {
	execute := struct {
		Script      jsontext.Value `json:"script,omitzero"`
		Entry       jobs.Entry     `json:"entry"`
		Stdin       jsontext.Value `json:"stdin,omitzero"`
		Files       []file         `json:"files,omitempty"`
		Limits      limits         `json:"limits,omitzero"`
		StartWithin float64        `json:"start_within"`
	}{b.Code, jobs.EntryScript, b.Stdin, files, l, queue.Seconds()}
	if b.Stdin.Kind() == jsontext.KindNull {
		execute.Stdin = nil
	}
	text, err := json.Marshal(execute, lenient, jsontext.PreserveRawStrings(true))
	if err != nil {
		return jobs.Request{}, fmt.Errorf("encode a request: %w", err)
	}
	request, err := jobs.DecodeRequest(text)
	return request, renamed(err, files)
}

// renamed returns the error of jobs.DecodeRequest with the names that the client knows.
func renamed(err error, files []file) error {
	if err == nil {
		return nil
	}
	known := *jobs.AsError(err)
	if rest, ok := strings.CutPrefix(known.Message, `"script"`); ok {
		known.Message = `"code"` + rest
	}
	for i, file := range files {
		prefix := `"files[` + strconv.Itoa(i) + `].content_base64"`
		if rest, ok := strings.CutPrefix(known.Message, prefix); ok {
			known.Message = fmt.Sprintf(`"files": the content of %.255q%s`, file.Path, rest)
		}
	}
	return &known
}

// fetch decodes the names of the files that the client wants to have back.
func (b body) fetch(inputs *jobs.Inputs) ([]Fetch, error) {
	var names []string
	if b.FetchFiles != nil {
		if err := json.Unmarshal(b.FetchFiles, &names); err != nil || b.FetchFiles.Kind() == jsontext.KindNull {
			return nil, jobs.Errorf(jobs.CodeInvalidRequest, `"fetch_files" must be an array of paths`)
		}
	}
	var fetch []Fetch
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			continue
		}
		seen[name] = true
		if len(fetch) == jobs.MaxFiles {
			return nil, jobs.Errorf(jobs.CodeInvalidRequest, `"fetch_files" has more than %d paths`, jobs.MaxFiles)
		}
		wanted := Fetch{Name: name, Path: path.Clean(name)}
		wanted.IsInput = inputs != nil &&
			slices.ContainsFunc(inputs.Files, func(file jobs.File) bool { return file.Path == wanted.Path })
		fetch = append(fetch, wanted)
	}
	return fetch, nil
}
