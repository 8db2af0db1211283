package conformance

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// checkAnswer compares a synchronous response with its case.
func checkAnswer(t *testing.T, c testCase, a answer) {
	t.Helper()
	want := http.StatusOK
	if c.Code != "" {
		want = statusOf[c.Code]
	}
	if a.HTTPStatus != want {
		t.Errorf("the status is %d, want %d", a.HTTPStatus, want)
	}
	if a.Took < c.AtLeast || a.Took > c.Within {
		t.Errorf("the answer took %s, want %s to %s", a.Took, c.AtLeast, c.Within)
	}
	if id, err := uuid.Parse(a.JobID); err != nil || id.Version() != 7 {
		t.Errorf("job_id %q is no UUID of version 7", a.JobID)
	}
	checkOutcome(t, c, a)
	checkUsage(t, c, a)
	if t.Failed() {
		t.Logf("the script:\n%.2000s", c.Script)
		t.Logf("the answer: %d\n%.4000s", a.HTTPStatus, a.Body)
	}
}

// checkOutcome compares a job's outcome, wherever it was read, with its case.
func checkOutcome(t *testing.T, c testCase, a answer) {
	t.Helper()
	checkEqual(t, "code", a.Code, c.Code)
	c.Error.check(t, "error", a.Error)
	c.Result.check(t, "result", string(a.Result))
	c.Stdout.check(t, "stdout", required(t, "stdout", a.Stdout))
	c.Stderr.check(t, "stderr", required(t, "stderr", a.Stderr))
	c.Detail.check(t, "detail", a.Detail)
	c.Hint.check(t, "hint", a.Hint)
	c.Traceback.check(t, "traceback", a.Traceback)
	c.Text.check(t, "text", a.Text)
	checkEqual(t, "line", a.Line, c.Line)
	checkEqual(t, "column", a.Column, c.Column)
	checkEqual(t, "exit_code", dereferenced(a.ExitCode), dereferenced(c.ExitCode))
	checkEqual(t, "signal", a.Signal, c.Signal)
	checkEqual(t, "limit", dereferenced(a.Limit), dereferenced(c.Limit))
	var cut truncated
	cut.Stdout = slices.Contains(c.Truncated, "stdout")
	cut.Stderr = slices.Contains(c.Truncated, "stderr")
	checkEqual(t, "truncated", dereferenced(a.Truncated), dereferenced(&cut))
	if a.StartedAt != nil && a.Limits == nil {
		t.Error("the job ran, and the response does not have its limits")
	}
	checkEqual(t, "notes", strings.Join(a.Notes, "\n"), strings.Join(c.Notes, "\n"))
	checkDisplays(t, c, a)
	left := map[string]string{}
	for _, file := range a.Omitted {
		left[file.Name] = file.Limit.Name
	}
	if c.Files != nil || c.Omitted != nil {
		checkEqual(t, "files_omitted", fmt.Sprint(left), fmt.Sprint(maps.Clone(c.Omitted)))
	}
	for _, ours := range []string{"/runner/", "runner/", "supervisor"} {
		if strings.Contains(a.Traceback, ours) && !strings.Contains(c.Script, ours) {
			t.Errorf("the traceback shows our own code (%q)", ours)
		}
	}
}

func checkUsage(t *testing.T, c testCase, a answer) {
	t.Helper()
	if a.Usage == nil {
		t.Error("usage is missing")
		return
	}
	checkRange(t, "run_ms", &a.Usage.RunMS, c.RunMS)
	checkRange(t, "cpu_ms", a.Usage.CPUMS, c.CPUMS)
	if c.MemoryPeakBytes != nil && a.Usage.MemoryPeakBytes != nil {
		peak := float64(*a.Usage.MemoryPeakBytes)
		checkRange(t, "memory_peak_bytes", &peak, c.MemoryPeakBytes)
	}
	if a.Usage.RunMS <= 0 {
		t.Errorf("usage.run_ms is %v", a.Usage.RunMS)
	}
}

// checkRange checks a figure against [least, most]; an unknown figure passes.
func checkRange(t *testing.T, name string, got *float64, bounds []float64) {
	t.Helper()
	if len(bounds) == 2 && got != nil && (*got < bounds[0] || *got > bounds[1]) {
		t.Errorf("usage.%s is %v, want %v to %v", name, *got, bounds[0], bounds[1])
	}
}

func checkEqual[T comparable](t *testing.T, name string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", name, got, want)
	}
}

// dereferenced makes pointers comparable by what they point to.
func dereferenced[T any](p *T) string {
	if p == nil {
		return "missing"
	}
	return fmt.Sprintf("%+v", *p)
}

func required(t *testing.T, name string, text *string) string {
	t.Helper()
	if text == nil {
		t.Errorf("%s is missing", name)
		return ""
	}
	return *text
}

// check reports every mismatch of the text as a test error.
func (m matcher) check(t *testing.T, name, got string) {
	t.Helper()
	addFailure := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s %s; it is %s", name, fmt.Sprintf(format, args...), abbreviated(got))
	}
	switch {
	case !m.Given && got != "":
		addFailure("must be missing or empty")
	case m.Exact != nil && got != *m.Exact:
		addFailure("must be %s", abbreviated(*m.Exact))
	}
	if !regexp.MustCompile(m.Like).MatchString(got) {
		addFailure("must match %q", m.Like)
	}
	for _, text := range m.Has {
		if !strings.Contains(got, text) {
			addFailure("must contain %q", text)
		}
	}
	for _, text := range m.Lacks {
		if strings.Contains(got, text) {
			addFailure("must not contain %q", text)
		}
	}
	if !strings.HasPrefix(got, m.Starts) || !strings.HasSuffix(got, m.Ends) {
		addFailure("must start with %q and end with %q", m.Starts, m.Ends)
	}
	if m.Bytes != 0 && len(got) != m.Bytes || m.Most != 0 && len(got) > m.Most {
		addFailure("must have %d bytes (at most %d), has %d", m.Bytes, m.Most, len(got))
	}
}

// abbreviated quotes a text, without its middle if it is long.
func abbreviated(text string) string {
	const most = 1200
	if len(text) <= most {
		return fmt.Sprintf("%q", text)
	}
	head, tail := text[:most/2], text[len(text)-most/2:]
	return fmt.Sprintf("%q … %q (%d bytes)", strings.ToValidUTF8(head, ""), strings.ToValidUTF8(tail, ""), len(text))
}
