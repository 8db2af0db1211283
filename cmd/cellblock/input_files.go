package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"cellblock/client"
)

// files returns the files of --file, and reads those of this machine.
func (f *requestFlags) files() ([]client.File, error) {
	var files []client.File
	for _, given := range f.File {
		file, err := inputFile(given)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// inputFile parses one value of --file: PATH, job:ID/NAME or file:ID, each with =DEST behind it or without.
func inputFile(given string) (client.File, error) {
	source, dest := given, ""
	if i := strings.LastIndexByte(given, '='); i >= 0 {
		if source, dest = given[:i], given[i+1:]; dest == "" {
			return client.File{}, badInputFile(given)
		}
	}
	if source == "" {
		return client.File{}, badInputFile(given)
	}
	// A file of this machine with such a name is ./job:….
	if left, ok := strings.CutPrefix(source, "job:"); ok {
		id, name, _ := strings.Cut(left, "/")
		if id == "" || name == "" {
			return client.File{}, badInputFile(given)
		}
		return client.File{Path: destOr(dest, path.Base(name)), JobID: id, Name: name}, nil
	}
	if id, ok := strings.CutPrefix(source, "file:"); ok {
		if id == "" || dest == "" {
			return client.File{}, usagef("--file file:ID needs a name for the script: file:ID=DEST, not %q", given)
		}
		return client.File{Path: filepath.ToSlash(dest), FileID: id}, nil
	}
	content, err := os.ReadFile(source)
	if err != nil {
		return client.File{}, usage(fmt.Errorf("--file: %w", err))
	}
	return client.File{Path: destOr(dest, filepath.Base(source)), Content: content}, nil
}

func badInputFile(given string) error {
	return usagef("--file takes PATH, job:ID/NAME or file:ID, with =DEST behind it or without, not %q", given)
}

// destOr returns the path of a file for the script: dest, or own if that is "".
func destOr(dest, own string) string {
	if dest == "" {
		return own
	}
	return filepath.ToSlash(dest)
}
