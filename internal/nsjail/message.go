package nsjail

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
	frameJob    = 'J'
	frameFile   = 'I'
	frameReady  = 'Y'
	frameOutput = 'F'
	frameNotes  = 'N'
	frameResult = 'R'
	frameError  = 'E'
)

// maxErrorBytes is the most bytes of an error report; the runner shortens longer ones.
const maxErrorBytes = 256 << 10

const headerBytes = 5

// task is the payload of a frameJob.
type task struct {
	Script      string `json:"script"`
	ResultBytes int64  `json:"result_bytes"`
	// FileBytes is the most bytes in each file that the script writes.
	FileBytes int64 `json:"file_bytes"`
	// OutputFiles and OutputFilesBytes bound the files returned from outside outputs/; WallSeconds
	// and CPUSeconds bound the drawing of figures.
	OutputFiles      int     `json:"output_files"`
	OutputFilesBytes int64   `json:"output_files_bytes"`
	WallSeconds      float64 `json:"wall_seconds"`
	CPUSeconds       float64 `json:"cpu_seconds"`
	// The following fields are present only if the request has them.
	Args    jsontext.Value    `json:"args,omitzero"`
	Stdin   string            `json:"stdin,omitzero"`
	Env     map[string]string `json:"env,omitzero"`
	Rlimits map[string]uint64 `json:"rlimits,omitzero"`
}

// report is what the runner sent about how the script ended. User code can forge it, so nothing
// more is concluded from it.
type report struct {
	// result is valid JSON; nil if the script failed.
	result  jsontext.Value
	failure *jobs.Failure
	// files are the files that came before the result.
	files []jobs.OutputFile
	// notes are the notes on the result and the files.
	notes resultNotes
}

// errResultTooLarge is returned for a report that announces more bytes than allowed.
var errResultTooLarge = errors.New("the result is larger than allowed")

// errTooManyFiles and errFilesTooLarge are returned if a script left more in outputs/ than allowed.
var (
	errTooManyFiles  = errors.New("more files than allowed")
	errFilesTooLarge = errors.New("the files are larger than allowed")
)

// errMalformed is returned for anything on the channel that is not a valid report.
var errMalformed = errors.New("malformed frame")

// writeTask sends the task. It fails if the runner is gone.
func writeTask(w io.Writer, t task) error {
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

// readReady reads the frame that the runner sends when it waits for its script.
func readReady(r io.Reader) error {
	kind, length, err := readHeader(r)
	if err != nil {
		return err
	}
	if kind != frameReady || length != 0 {
		return errMalformed
	}
	return nil
}

// readReport reads the files, notes if there are any, and one result or error frame. It returns
// io.EOF if the channel ended without any; errResultTooLarge, errTooManyFiles or errFilesTooLarge,
// without reading the payload that exceeds the limit; and an error wrapping errMalformed for anything
// that the protocol does not allow.
func readReport(r io.Reader, limits jobs.Limits) (report, error) {
	files, kind, length, err := readOutputs(r, limits)
	if err != nil {
		return report{}, err
	}
	var notes resultNotes
	if kind == frameNotes {
		if notes, err = readNotes(r, length, limits); err != nil {
			return report{}, err
		}
		if kind, length, err = readHeader(r); err != nil {
			return report{}, err
		}
	}
	result, err := readResult(r, kind, length, limits.ResultBytes)
	result.files, result.notes = files, notes
	return result, err
}

// readResult reads the payload of a result or error frame.
func readResult(r io.Reader, kind byte, length, resultLimit int64) (report, error) {
	limit := int64(maxErrorBytes)
	switch kind {
	case frameResult:
		limit = resultLimit
	case frameError:
	default:
		return report{}, fmt.Errorf("%w: kind %#x", errMalformed, kind)
	}
	if length > limit {
		return report{}, errResultTooLarge
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return report{}, fmt.Errorf("%w: cut short", errMalformed)
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
			return 0, 0, fmt.Errorf("%w: cut short", errMalformed)
		}
		return 0, 0, err
	}
	return header[0], int64(binary.BigEndian.Uint32(header[1:])), nil
}

// decodeResult accepts valid JSON only: no duplicate names, no invalid UTF-8, and no deeper nesting
// than an answer can hold (jsontext stops at 10,000).
func decodeResult(payload []byte) (report, error) {
	result := jsontext.Value(payload)
	if !result.IsValid() || openBrackets(payload) > maxDepth && !jsontext.Value(nestDeeper(payload)).IsValid() {
		return report{}, fmt.Errorf("%w: the result is not valid JSON", errMalformed)
	}
	return report{result: result}, nil
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

func decodeError(payload []byte) (report, error) {
	var failure jobs.Failure
	if err := json.Unmarshal(payload, &failure); err != nil {
		return report{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if !failure.Code.Reported() {
		return report{}, fmt.Errorf("%w: code %q is not the runner's to report", errMalformed, failure.Code)
	}
	if !utf8.ValidString(failure.Message) || failure.Message == "" {
		return report{}, fmt.Errorf("%w: no message", errMalformed)
	}
	// Only the worker sets these.
	failure.Signal, failure.Limit = "", nil
	return report{failure: &failure}, nil
}
