package wire

import (
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"cellblock/internal/jobs"
)

// Bounds on a frameNotes. The runner stays well below them.
const (
	maxNotesBytes = 256 << 10
	maxNotes      = 21
	maxNoteBytes  = 2 << 10
	maxOmitted    = 64
)

// ResultNotes are what the runner reports in addition to the result and the files. User code can forge them, for its
// own job only.
type ResultNotes struct {
	// Notes are sentences on what in the result or the files differs from the script's.
	Notes []string
	// FilesOmitted are the files that the runner did not send, each with the limit that kept it out.
	FilesOmitted []jobs.OmittedFile
}

// notesFrame is the payload of a frameNotes.
type notesFrame struct {
	Notes        []string `json:"notes"`
	FilesOmitted []struct {
		Name  string `json:"name"`
		Size  *int64 `json:"size"`
		Limit string `json:"limit"`
	} `json:"files_omitted"`
}

// readNotes reads the payload of a frameNotes. It returns an error wrapping ErrMalformed if the
// payload exceeds a bound or is invalid, or if an omitted file has an unknown limit.
func readNotes(r io.Reader, length int64, limits jobs.Limits) (ResultNotes, error) {
	if length > maxNotesBytes {
		return ResultNotes{}, fmt.Errorf("%w: %d bytes of notes", ErrMalformed, length)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return ResultNotes{}, fmt.Errorf("%w: cut short", ErrMalformed)
	}
	var frame notesFrame
	if err := json.Unmarshal(payload, &frame); err != nil {
		return ResultNotes{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(frame.Notes) > maxNotes || len(frame.FilesOmitted) > maxOmitted {
		return ResultNotes{}, fmt.Errorf("%w: too many notes", ErrMalformed)
	}
	for _, note := range frame.Notes {
		if len(note) > maxNoteBytes || !utf8.ValidString(note) {
			return ResultNotes{}, fmt.Errorf("%w: a note that is too long or not UTF-8", ErrMalformed)
		}
	}
	found := ResultNotes{Notes: frame.Notes}
	var names jobs.Names
	for _, file := range frame.FilesOmitted {
		limit, ok := fileLimit(file.Limit, limits)
		if !ok || file.Size != nil && (*file.Size < 0 || *file.Size > math.MaxUint32) {
			return ResultNotes{}, fmt.Errorf("%w: an omitted file without a valid limit or size", ErrMalformed)
		}
		omitted := jobs.OmittedFile{Name: names.Sanitize(file.Name), Size: file.Size, Limit: limit}
		found.FilesOmitted = append(found.FilesOmitted, omitted)
	}
	return found, nil
}

// fileLimit returns the limit with this name if it can keep a file out of a result, and false
// otherwise. The value comes from the worker's limits, never from the runner.
func fileLimit(name string, l jobs.Limits) (jobs.LimitHit, bool) {
	switch name {
	case "output_files":
		return jobs.LimitHit{Name: name, Value: float64(l.OutputFiles), Unit: "count"}, true
	case "output_files_bytes":
		return jobs.LimitHit{Name: name, Value: float64(l.OutputFilesBytes), Unit: "bytes"}, true
	case "file_size":
		return jobs.LimitHit{Name: name, Value: float64(l.FileBytes), Unit: "bytes"}, true
	case "wall":
		return jobs.LimitHit{Name: name, Value: l.Wall.Seconds(), Unit: "seconds"}, true
	case "cpu":
		return jobs.LimitHit{Name: name, Value: l.CPU.Seconds(), Unit: "seconds"}, true
	}
	return jobs.LimitHit{}, false
}
