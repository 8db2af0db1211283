package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
)

// storedInputs is the stored form of jobs.Inputs. Absent fields take no space.
type storedInputs struct {
	Args   jsontext.Value    `json:"args,omitzero"`
	Stdin  string            `json:"stdin,omitzero"`
	Env    map[string]string `json:"env,omitzero"`
	Limits storedLimits      `json:"limits,omitzero"`
	Files  []storedFile      `json:"files,omitzero"`
}

// storedFile is the path and size of a file; its content follows the JSON.
type storedFile struct {
	Path string `json:"path"`
	Size int    `json:"size"`
}

// encodeInputs returns the stored form of the inputs: a line of JSON followed by the contents of the files, one after
// the other. It returns nil if in is nil.
func encodeInputs(in *jobs.Inputs) ([]byte, error) {
	if in == nil {
		return nil, nil
	}
	files := make([]storedFile, len(in.Files))
	for i, file := range in.Files {
		files[i] = storedFile{Path: file.Path, Size: len(file.Content)}
	}
	encoded, err := json.Marshal(storedInputs{
		Args: in.Args, Stdin: in.Stdin, Env: in.Env, Files: files, Limits: toStoredLimits(in.Limits, false),
	})
	if err != nil {
		return nil, fmt.Errorf("encode the inputs: %w", err)
	}
	encoded = slices.Grow(encoded, 1+in.Size())
	encoded = append(encoded, '\n')
	for _, file := range in.Files {
		encoded = append(encoded, file.Content...)
	}
	return encoded, nil
}

// decodeInputs returns inputs whose files are parts of stored.
func decodeInputs(stored []byte) (*jobs.Inputs, error) {
	if len(stored) == 0 {
		return nil, nil
	}
	encoded, contents, _ := bytes.Cut(stored, []byte("\n"))
	var in storedInputs
	if err := json.Unmarshal(encoded, &in); err != nil {
		return nil, fmt.Errorf("decode the inputs: %w", err)
	}
	var files []jobs.File
	for _, file := range in.Files {
		if file.Size < 0 || file.Size > len(contents) {
			return nil, errors.New("decode the inputs: a file is cut short")
		}
		files = append(files, jobs.File{Path: file.Path, Content: contents[:file.Size:file.Size]})
		contents = contents[file.Size:]
	}
	limits, err := in.Limits.decode()
	if err != nil {
		return nil, fmt.Errorf("decode the inputs: %w", err)
	}
	return &jobs.Inputs{Args: in.Args, Stdin: in.Stdin, Env: in.Env, Files: files, Limits: limits}, nil
}
