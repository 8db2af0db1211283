package build

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"
)

// Report shows the progress of builds to people: a line for each step and, on a terminal, details that replace each
// other.
type Report struct {
	out      io.Writer
	terminal bool
	step     string
	began    time.Time
	detailed bool
}

// NewReport returns a report to out. On a terminal it uses escape codes.
func NewReport(out io.Writer, terminal bool) *Report { return &Report{out: out, terminal: terminal} }

// Build builds an environment and shows how. It reports whether there was anything to build, and shows nothing if not.
func (r *Report) Build(ctx context.Context, s Settings, name string, o Options) (changed bool, err error) {
	r.began = time.Now()
	o.Progress = func(step, detail string) { r.progress(name, step, detail) }
	result, err := Build(ctx, s, name, o)
	r.endDetail()
	if err != nil {
		return false, fmt.Errorf("%s was not built, and nothing has changed: %w", name, err)
	}
	for _, warning := range result.Warnings {
		r.print(name, "warning: "+warning)
	}
	if result.Changed {
		r.print(name, fmt.Sprintf("ready: Python %s, %d packages, %d MB in %s, built in %.0f s",
			result.Python, len(result.Packages), megabytes(result.Dir), result.Dir, time.Since(r.began).Seconds()))
	}
	return result.Changed, nil
}

func (r *Report) progress(name, step, detail string) {
	if step != r.step {
		r.endDetail()
		r.print(name, step)
		r.step = step
	}
	if detail != "" && r.terminal {
		fmt.Fprintf(r.out, "\r\x1b[K%s: %s", name, detail)
		r.detailed = true
	}
}

func (r *Report) print(name, text string) { fmt.Fprintf(r.out, "%s: %s\n", name, text) }

// endDetail removes the detail that is shown.
func (r *Report) endDetail() {
	if r.detailed {
		fmt.Fprint(r.out, "\r\x1b[K")
	}
	r.detailed = false
}

// megabytes returns the size of all files below dir.
func megabytes(dir string) int64 {
	var total int64
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // a size to look at
		}
		if info, err := entry.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total / 1_000_000
}
