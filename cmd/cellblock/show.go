package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/mattn/go-isatty"

	"cellblock/client"
)

// The colours, as the terminal has them.
const (
	red    = 31
	green  = 32
	yellow = 33
	dim    = 2
)

// printed is standard output.
var printed = &printer{file: os.Stdout}

// printer writes to a file, and keeps the first error, for leave to tell.
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

func terminal(file *os.File) bool { return isatty.IsTerminal(file.Fd()) }

// paint colours text, if it goes to a terminal and colours are not declined.
func paint(file *os.File, colour int, text string) string {
	if !terminal(file) || !colourful() {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", colour, text)
}

// note says something to people who look on.
func note(format string, values ...any) {
	if terminal(os.Stderr) {
		fmt.Fprintln(os.Stderr, paint(os.Stderr, dim, fmt.Sprintf(format, values...)))
	}
}

// shown is how a job is shown.
type shown struct {
	json bool
	// dir is where its files go; "" for nowhere.
	dir string
}

// showEnd shows a job that has ended, but for its output, and gives the exit
// status.
func showEnd(ctx context.Context, service *client.Client, job *client.Job, how shown) error {
	failure := client.Failure(job)
	if how.json {
		if err := printJSON(job); err != nil {
			return err
		}
	} else {
		showNotes(job)
		showResult(job)
	}
	if err := save(ctx, service, job, how); err != nil {
		return err
	}
	if how.json {
		return quietly(failure)
	}
	return conclude(failure)
}

// printJSON prints a value as one line of JSON.
func printJSON(value any) error {
	err := json.MarshalWrite(printed, value, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if err == nil {
		_, err = io.WriteString(printed, "\n")
	}
	return usage(err)
}

// showOutput shows what a job printed, but for what was shown already.
func showOutput(job *client.Job, stdout, stderr string) {
	show := func(file io.Writer, all *string, before string) {
		if all == nil {
			return
		}
		// What was told while it ran and what was kept are the same, but for a job
		// that was killed, of which more may be kept.
		if rest, ok := strings.CutPrefix(*all, before); ok {
			_, _ = io.WriteString(file, rest)
		}
	}
	show(printed, job.Stdout, stdout)
	show(os.Stderr, job.Stderr, stderr)
	if job.Truncated != nil && (job.Truncated.Stdout || job.Truncated.Stderr) {
		fmt.Fprintln(os.Stderr, "cellblock: the output is cut at its limit")
	}
}

// showNotes writes what of the result and the files is not as the script had it.
func showNotes(job *client.Job) {
	for _, text := range job.Notes {
		fmt.Fprintln(os.Stderr, "cellblock:", text)
	}
	for _, file := range job.FilesOmitted {
		size := "not drawn"
		if file.Size != nil {
			size = fmt.Sprintf("%d bytes", *file.Size)
		}
		fmt.Fprintf(os.Stderr, "cellblock: left out %s (%s): the limit %s is %v %s\n", file.Name, size, file.Limit.Name, file.Limit.Value, file.Limit.Unit)
	}
}

// showResult shows what main() returned, or where a failure lies.
func showResult(job *client.Job) {
	if job.Code == "" {
		if value := job.Result; len(value) > 0 && value.Kind() != 'n' {
			if value.Indent(jsontext.WithIndent("  ")) == nil {
				fmt.Fprintln(printed, string(value))
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

// showFailure shows what is known beside the sentence, which comes last.
func showFailure(job *client.Job) {
	if job.Traceback != "" {
		fmt.Fprint(os.Stderr, strings.TrimRight(job.Traceback, "\n")+"\n")
	}
	if job.Text != "" {
		text := strings.TrimRight(job.Text, "\n")
		fmt.Fprintf(os.Stderr, "%5d | %s\n      | %s^\n", job.Line, text, strings.Repeat(" ", max(0, job.Column-1)))
	}
}
