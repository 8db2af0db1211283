package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/mattn/go-isatty"

	"cellblock/client"
)

// Colors, as ANSI codes.
const (
	red    = 31
	green  = 32
	yellow = 33
	dim    = 2
)

// standardOutput is standard output.
var standardOutput = &printer{file: os.Stdout}

// printer writes to a file and keeps the first error, which leave reports.
type printer struct {
	file *os.File
	err  error
}

func (p *printer) Write(content []byte) (int, error) {
	n, err := p.file.Write(content)
	if p.err == nil {
		p.err = err
	}
	return n, err
}

func isTerminal(file *os.File) bool { return isatty.IsTerminal(file.Fd()) }

// colorize colors text if file is a terminal and colors are enabled.
func colorize(file *os.File, color int, text string) string {
	if !isTerminal(file) || !colorsEnabled() {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", color, text)
}

// note prints a remark to standard error if that is a terminal.
func note(format string, values ...any) {
	if isTerminal(os.Stderr) {
		fmt.Fprintln(os.Stderr, colorize(os.Stderr, dim, fmt.Sprintf(format, values...)))
	}
}

// showOptions selects how a job is shown.
type showOptions struct {
	json bool
	// dir is the folder for its files; "" does not save them.
	dir string
}

// showEnd shows an ended job without its output, and returns the program's exit.
func showEnd(ctx context.Context, service *client.Client, job *client.Job, options showOptions) error {
	failure := client.Failure(job)
	if options.json {
		if err := printJSON(job); err != nil {
			return err
		}
	} else {
		showNotes(job)
		showDisplays(job)
		showResult(job)
	}
	if err := saveFiles(ctx, service, job, options); err != nil {
		return err
	}
	if options.json {
		return statusOnly(failure)
	}
	return withStatus(failure)
}

// printJSON prints a value as one line of JSON.
func printJSON(value any) error {
	err := json.MarshalWrite(standardOutput, value, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if err == nil {
		_, err = io.WriteString(standardOutput, "\n")
	}
	return usage(err)
}

// showOutput shows a job's output behind the parts stdout and stderr, which were shown before.
func showOutput(job *client.Job, stdout, stderr string) {
	show := func(file io.Writer, all *string, before string) {
		if all == nil {
			return
		}
		// The streamed output is a prefix of the stored output, which may be longer if the job was killed.
		if rest, ok := strings.CutPrefix(*all, before); ok {
			_, _ = io.WriteString(file, rest)
		}
	}
	show(standardOutput, job.Stdout, stdout)
	show(os.Stderr, job.Stderr, stderr)
	if job.Truncated != nil && (job.Truncated.Stdout || job.Truncated.Stderr) {
		fmt.Fprintln(os.Stderr, "cellblock: the output was cut at its limit")
	}
}

// showNotes prints the notes on the result and the files, and the omitted files.
func showNotes(job *client.Job) {
	for _, text := range job.Notes {
		fmt.Fprintln(os.Stderr, "cellblock:", text)
	}
	for _, file := range job.FilesOmitted {
		size := "not drawn"
		if file.Size != nil {
			size = fmt.Sprintf("%d bytes", *file.Size)
		}
		fmt.Fprintf(os.Stderr, "cellblock: omitted %s (%s): the limit %s is %v %s\n", file.Name, size,
			file.Limit.Name, file.Limit.Value, file.Limit.Unit)
	}
}

// showResult shows the result, or the place of a failure. That of a cell is what its last display shows.
func showResult(job *client.Job) {
	shown := job.Entry == client.EntryCell && len(job.Displays) > 0
	if job.Code == "" {
		if value := job.Result; !shown && len(value) > 0 && value.Kind() != 'n' {
			if value.Indent(jsontext.WithIndent("  ")) == nil {
				fmt.Fprintln(standardOutput, string(value))
			}
		}
	} else {
		showFailure(job)
	}
	if job.Usage != nil {
		line := fmt.Sprintf("%s after %s", job.Status, milliseconds(job.Usage.RunMs))
		if job.Usage.MemoryPeakBytes != nil {
			line += fmt.Sprintf(", %.1f MiB", float64(*job.Usage.MemoryPeakBytes)/(1<<20))
		}
		note("%s, job %s", line, job.JobID)
	}
}

func milliseconds(ms float64) time.Duration {
	return time.Duration(ms * float64(time.Millisecond)).Round(100 * time.Microsecond)
}

// showFailure shows the details of a failure. The error message follows last.
func showFailure(job *client.Job) {
	if job.Traceback != "" {
		fmt.Fprint(os.Stderr, strings.TrimRight(job.Traceback, "\n")+"\n")
	}
	if job.Text != "" {
		text := strings.TrimRight(job.Text, "\n")
		fmt.Fprintf(os.Stderr, "%5d | %s\n      | %s^\n", job.Line, text, strings.Repeat(" ", max(0, job.Column-1)))
	}
}

// saveFiles downloads a job's files to the folder options.dir, or lists them if it is "". No file name can lead outside
// the folder.
func saveFiles(ctx context.Context, service *client.Client, job *client.Job, options showOptions) error {
	if len(job.Files) == 0 {
		return nil
	}
	if options.dir == "" {
		var names []string
		for _, file := range job.Files {
			names = append(names, file.Name)
		}
		note("output files: %s; cellblock get %s --output-dir DIR downloads them", strings.Join(names, ", "), job.JobID)
		return nil
	}
	if err := os.MkdirAll(options.dir, 0o755); err != nil {
		return usage(err)
	}
	folder, err := os.OpenRoot(options.dir)
	if err != nil {
		return usage(err)
	}
	defer func() { _ = folder.Close() }() // nothing is written through it
	for _, file := range job.Files {
		if err := saveFile(ctx, service, job.JobID, folder, file.Name); err != nil {
			return err
		}
		if !options.json {
			note("%s, %d bytes", filepath.Join(options.dir, filepath.FromSlash(file.Name)), file.Size)
		}
	}
	return nil
}

// saveFile downloads one file. It removes an incomplete file.
func saveFile(ctx context.Context, service *client.Client, id string, folder *os.Root, name string) error {
	content, err := service.File(ctx, id, name)
	if err != nil {
		return withStatusOrInterrupted(ctx, fmt.Errorf("file %q: %w", name, err))
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
		return withStatusOrInterrupted(ctx, fmt.Errorf("file %q: %w", name, err))
	}
	return nil
}
