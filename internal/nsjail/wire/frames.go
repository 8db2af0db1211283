package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
)

// Kinds of frames on the channel; runner/protocol.md describes them.
const (
	frameJob      = 'J'
	frameFile     = 'I'
	frameReady    = 'Y'
	frameOutput   = 'F'
	frameDisplays = 'D'
	frameNotes    = 'N'
	frameResult   = 'R'
	frameError    = 'E'
)

// maxErrorBytes is the most bytes of an error report; the runner shortens longer ones.
const maxErrorBytes = 256 << 10

// maxExitCode is the largest exit code of a process.
const maxExitCode = 255

// headerBytes is the size of a frame without its payload: the kind, and the length in big-endian order.
const headerBytes = 5

// Task is the payload of a frameJob: the script, and what bounds it inside the sandbox.
type Task struct {
	Script string `json:"script"`
	// ResultBytes is the most bytes of the result's JSON.
	ResultBytes int64 `json:"result_bytes"`
	// FileBytes is the most bytes in each file that the script writes.
	FileBytes int64 `json:"file_bytes"`
	// OutputFiles and OutputFilesBytes bound the files returned from outside outputs/; WallSeconds
	// and CPUSeconds bound the drawing of figures.
	OutputFiles      int     `json:"output_files"`
	OutputFilesBytes int64   `json:"output_files_bytes"`
	WallSeconds      float64 `json:"wall_seconds"`
	CPUSeconds       float64 `json:"cpu_seconds"`
	// The following fields are present only if the request has them. Rlimits are by the kernel's numbers.
	Entry   jobs.Entry        `json:"entry,omitzero"`
	Args    jsontext.Value    `json:"args,omitzero"`
	Stdin   string            `json:"stdin,omitzero"`
	Env     map[string]string `json:"env,omitzero"`
	Rlimits map[int]uint64    `json:"rlimits,omitzero"`
}

// Report is what the runner sent about how the script ended: a Result or a Failure. User code can forge it.
type Report struct {
	// Result is valid JSON; nil if the script failed.
	Result jsontext.Value
	// Failure has one of the codes that the runner may report, and a message.
	Failure *jobs.Failure
	// Files are the files that came before the result.
	Files []jobs.OutputFile
	ResultDisplays
	ResultNotes
}

// ErrResultTooLarge is returned for a report that announces more bytes than allowed.
var ErrResultTooLarge = errors.New("the result is larger than allowed")

// ErrTooManyFiles and ErrFilesTooLarge are returned if a script left more in outputs/ than allowed.
var (
	ErrTooManyFiles  = errors.New("more files than allowed")
	ErrFilesTooLarge = errors.New("the files are larger than allowed")
)

// ErrMalformed is returned for anything on the channel that is not a valid report.
var ErrMalformed = errors.New("malformed frame")

// WriteTask sends the task, which starts the script. It returns an error if the runner is gone.
func WriteTask(w io.Writer, t Task) error {
	payload, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encode the task: %w", err)
	}
	frame := make([]byte, headerBytes, headerBytes+len(payload))
	frame[0] = frameJob
	binary.BigEndian.PutUint32(frame[1:], uint32(len(payload)))
	_, err = w.Write(append(frame, payload...))
	return err
}

// WriteFile sends one input file, before the task.
func WriteFile(w io.Writer, file jobs.File) error {
	head := []byte{frameFile}
	head = binary.BigEndian.AppendUint32(head, uint32(2+len(file.Path)+len(file.Content)))
	head = binary.BigEndian.AppendUint16(head, uint16(len(file.Path)))
	if _, err := w.Write(append(head, file.Path...)); err != nil {
		return err
	}
	_, err := w.Write(file.Content)
	return err
}

// ReadReady reads the frame that the runner sends when it waits for its script.
func ReadReady(r io.Reader) error {
	kind, length, err := readHeader(r)
	if err != nil {
		return err
	}
	if kind != frameReady || length != 0 {
		return ErrMalformed
	}
	return nil
}

// ReadReport reads the files, displays and notes if there are any, and one result or error frame. It returns
// io.EOF if the channel ended without any; ErrResultTooLarge, ErrTooManyFiles or ErrFilesTooLarge,
// without reading the payload that exceeds the limit; and an error wrapping ErrMalformed for anything
// that the protocol does not allow.
func ReadReport(r io.Reader, limits jobs.Limits) (Report, error) {
	files, kind, length, err := readOutputs(r, limits)
	if err != nil {
		return Report{}, err
	}
	var displays ResultDisplays
	if kind == frameDisplays {
		if displays, err = readDisplays(r, length, files); err != nil {
			return Report{}, err
		}
		if kind, length, err = readHeader(r); err != nil {
			return Report{}, err
		}
	}
	var notes ResultNotes
	if kind == frameNotes {
		if notes, err = readNotes(r, length, limits); err != nil {
			return Report{}, err
		}
		if kind, length, err = readHeader(r); err != nil {
			return Report{}, err
		}
	}
	result, err := readResult(r, kind, length, limits.ResultBytes)
	result.Files, result.ResultDisplays, result.ResultNotes = files.list, displays, notes
	return result, err
}

// readResult reads the payload of a result or error frame.
func readResult(r io.Reader, kind byte, length, resultLimit int64) (Report, error) {
	limit := int64(maxErrorBytes)
	switch kind {
	case frameResult:
		limit = resultLimit
	case frameError:
	default:
		return Report{}, fmt.Errorf("%w: kind %#x", ErrMalformed, kind)
	}
	if length > limit {
		return Report{}, ErrResultTooLarge
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return Report{}, fmt.Errorf("%w: cut short", ErrMalformed)
	}
	if kind == frameResult {
		return decodeResult(payload)
	}
	return decodeError(payload)
}

func readHeader(r io.Reader) (kind byte, length int64, err error) {
	var header [headerBytes]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, 0, fmt.Errorf("%w: cut short", ErrMalformed)
		}
		return 0, 0, err
	}
	return header[0], int64(binary.BigEndian.Uint32(header[1:])), nil
}

// decodeResult accepts valid JSON only: no duplicate names, no invalid UTF-8, and no deeper nesting
// than an answer can hold (jsontext stops at 10,000).
func decodeResult(payload []byte) (Report, error) {
	result := jsontext.Value(payload)
	if !result.IsValid() || openBrackets(payload) > maxDepth && !jsontext.Value(nestDeeper(payload)).IsValid() {
		return Report{}, fmt.Errorf("%w: the result is not valid JSON", ErrMalformed)
	}
	return Report{Result: result}, nil
}

// maxDepth is the depth up to which no second check is needed. The runner stops at 500.
const maxDepth = 9000

// openBrackets returns an upper bound on the depth of the JSON.
func openBrackets(payload []byte) int {
	return bytes.Count(payload, []byte("[")) + bytes.Count(payload, []byte("{"))
}

// nestDeeper nests the JSON further than answers do.
func nestDeeper(payload []byte) []byte {
	return slices.Concat([]byte("[[[[[[[["), payload, []byte("]]]]]]]]"))
}

func decodeError(payload []byte) (Report, error) {
	var failure jobs.Failure
	if err := json.Unmarshal(payload, &failure); err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !failure.Code.Reported() {
		return Report{}, fmt.Errorf("%w: code %q is not the runner's to report", ErrMalformed, failure.Code)
	}
	if !utf8.ValidString(failure.Message) || failure.Message == "" {
		return Report{}, fmt.Errorf("%w: no message", ErrMalformed)
	}
	// Only the worker sets these.
	failure.Signal, failure.Limit = "", nil
	if failure.Code != jobs.CodeExit {
		failure.ExitCode = nil
	}
	if failure.ExitCode != nil && (*failure.ExitCode < 0 || *failure.ExitCode > maxExitCode) {
		return Report{}, fmt.Errorf("%w: the exit code %d", ErrMalformed, *failure.ExitCode)
	}
	return Report{Failure: &failure}, nil
}
