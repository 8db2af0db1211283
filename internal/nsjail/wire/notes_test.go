package wire

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cellblock/internal/jobs"
)

func TestReadNotes(t *testing.T) {
	t.Parallel()
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	for name, test := range map[string]struct {
		payload   string
		notes     []string
		omitted   string
		malformed bool
	}{
		"nothing":       {payload: `{}`},
		"a note":        {payload: `{"notes":["a"]}`, notes: []string{"a"}},
		"a later field": {payload: `{"more":1}`},
		"a file": {
			payload: `{"files_omitted":[{"name":"a","size":3,"limit":"output_files"}]}`,
			omitted: "a 3 {output_files 2 count}",
		},
		"a figure": {
			payload: `{"files_omitted":[{"name":"../f","size":null,"limit":"wall"}]}`,
			omitted: "_../f - {wall 0 seconds}",
		},
		"no limit": {payload: `{"files_omitted":[{"name":"a","size":3,"limit":"patience"}]}`, malformed: true},
		"a value": {
			payload:   `{"files_omitted":[{"name":"a","size":3,"limit":{"name":"wall"}}]}`,
			malformed: true,
		},
		"negative":      {payload: `{"files_omitted":[{"name":"a","size":-3,"limit":"wall"}]}`, malformed: true},
		"no JSON":       {payload: `{`, malformed: true},
		"as many notes": {payload: `{"notes":[` + many(21, `"x"`) + `]}`, notes: slices.Repeat([]string{"x"}, 21)},
		"one too many":  {payload: `{"notes":[` + many(22, `"x"`) + `]}`, malformed: true},
		"a long note":   {payload: `{"notes":["` + strings.Repeat("x", maxNoteBytes+1) + `"]}`, malformed: true},
		"bad UTF-8":     {payload: "{\"notes\":[\"\xff\"]}", malformed: true},
		"too many files": {
			payload:   `{"files_omitted":[` + many(65, `{"name":"a","size":1,"limit":"cpu"}`) + `]}`,
			malformed: true,
		},
		"too long": {payload: `{"notes":["` + strings.Repeat("x", maxNotesBytes) + `"]}`, malformed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := slices.Concat(outputFrame("f", "x"), frame('N', test.payload), frame('R', "1"))
			got, err := ReadReport(bytes.NewReader(sent), bounded(10))
			if errors.Is(err, ErrMalformed) != test.malformed {
				t.Fatalf("the error is %v", err)
			}
			if test.malformed {
				return
			}
			if string(got.Result) != "1" || len(got.Files) != 1 || !slices.Equal(got.Notes, test.notes) {
				t.Errorf("got %+v", got)
			}
			if left := describe(got.FilesOmitted); left != test.omitted {
				t.Errorf("left out %q, want %q", left, test.omitted)
			}
		})
	}
}

func describe(files []jobs.OmittedFile) string {
	var parts []string
	for _, file := range files {
		size := "-"
		if file.Size != nil {
			size = fmt.Sprint(*file.Size)
		}
		parts = append(parts, fmt.Sprintf("%s %s %v", file.Name, size, file.Limit))
	}
	return strings.Join(parts, ", ")
}

// Notes that are announced and never sent must not make the worker hold memory.
func TestReadNotesIsBounded(t *testing.T) {
	t.Parallel()
	_, err := ReadReport(bytes.NewReader([]byte{'N', 0xff, 0xff, 0xff, 0xff}), bounded(10))
	if !errors.Is(err, ErrMalformed) {
		t.Errorf("the error is %v", err)
	}
	twice := slices.Concat(frame('N', `{}`), frame('N', `{}`), frame('R', "1"))
	if _, err := ReadReport(bytes.NewReader(twice), bounded(10)); !errors.Is(err, ErrMalformed) {
		t.Errorf("notes twice: the error is %v", err)
	}
}
