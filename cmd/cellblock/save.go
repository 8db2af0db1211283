package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"cellblock/client"
)

// save downloads a job's files to the folder how.dir, or lists them if it is "". No file name can lead outside the
// folder.
func save(ctx context.Context, service *client.Client, job *client.Job, how shown) error {
	if len(job.Files) == 0 {
		return nil
	}
	if how.dir == "" {
		var names []string
		for _, file := range job.Files {
			names = append(names, file.Name)
		}
		note("came back: %s; cellblock get %s --output-dir DIR brings it", strings.Join(names, ", "), job.JobID)
		return nil
	}
	if err := os.MkdirAll(how.dir, 0o755); err != nil {
		return usage(err)
	}
	folder, err := os.OpenRoot(how.dir)
	if err != nil {
		return usage(err)
	}
	defer func() { _ = folder.Close() }() // nothing is written through it
	for _, file := range job.Files {
		if err := saveFile(ctx, service, job.JobID, folder, file.Name); err != nil {
			return err
		}
		if !how.json {
			note("%s, %d bytes", filepath.Join(how.dir, filepath.FromSlash(file.Name)), file.Size)
		}
	}
	return nil
}

// saveFile downloads one file. It removes an incomplete file.
func saveFile(ctx context.Context, service *client.Client, id string, folder *os.Root, name string) error {
	content, err := service.File(ctx, id, name)
	if err != nil {
		return concludeUnless(ctx, fmt.Errorf("the file %q: %w", name, err))
	}
	defer content.Close()
	if err := folder.MkdirAll(path.Dir(name), 0o755); err != nil {
		return usage(err)
	}
	file, err := folder.Create(name)
	if err != nil {
		return usage(err)
	}
	_, err = io.Copy(file, content)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = folder.Remove(name)
		return concludeUnless(ctx, fmt.Errorf("the file %q: %w", name, err))
	}
	return nil
}
