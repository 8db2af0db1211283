package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"cellblock/internal/jobs"
)

func frame(kind byte, payload string) []byte {
	header := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(payload)))
	return append(header, payload...)
}

// bounded returns limits on what comes over the channel.
func bounded(result int64) jobs.Limits {
	return jobs.Limits{ResultBytes: result, OutputFiles: 2, OutputFilesBytes: 8}
}

// outputFrame returns the frame of a file.
func outputFrame(name, content string) []byte {
	return frame('F', string(binary.BigEndian.AppendUint16(nil, uint16(len(name))))+name+content)
}

func TestReadOutputs(t *testing.T) {
	t.Parallel()
	end := frame('R', "1")
	for name, test := range map[string]struct {
		sent  []byte
		names []string
		err   error
	}{
		"none": {sent: end},
		"two": {sent: slices.Concat(outputFrame("a/b.csv", "1"), outputFrame("a/b.csv", "22"),
			end), names: []string{"a/b.csv", "a/b.csv~2"}},
		"an empty one":             {sent: slices.Concat(outputFrame("a", ""), end), names: []string{"a"}},
		"as many bytes as allowed": {sent: slices.Concat(outputFrame("a", "12345678"), end), names: []string{"a"}},
		"one byte over":            {sent: slices.Concat(outputFrame("a", "123456789"), end), err: ErrFilesTooLarge},
		"one byte over, in the sum": {
			sent: slices.Concat(outputFrame("a", "12345678"), outputFrame("b", "9"), end),
			err:  ErrFilesTooLarge,
		},
		"announced, not sent": {sent: []byte{'F', 0xff, 0xff, 0xff, 0xff, 0, 1, 'a'}, err: ErrFilesTooLarge},
		"one too many": {sent: slices.Concat(outputFrame("a", ""), outputFrame("b", ""),
			outputFrame("c", ""), end), err: ErrTooManyFiles},
		"a name out of its frame": {sent: []byte{'F', 0, 0, 0, 3, 0xff, 0xff, 'a'}, err: ErrMalformed},
		"no name":                 {sent: []byte{'F', 0, 0, 0, 1, 0}, err: ErrMalformed},
		"cut short":               {sent: []byte{'F', 0, 0, 0, 9, 0, 1, 'a', 'b'}, err: ErrMalformed},
		"no end":                  {sent: outputFrame("a", ""), err: io.EOF},
		"a hostile name": {
			sent:  slices.Concat(outputFrame("../../etc/passwd\x00", "x"), end),
			names: []string{"_../_../etc/passwd_"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ReadReport(bytes.NewReader(test.sent), bounded(10))
			if !errors.Is(err, test.err) {
				t.Fatalf("got the error %v, want %v", err, test.err)
			}
			var names []string
			for _, file := range got.Files {
				names = append(names, file.Name)
			}
			if err == nil && !slices.Equal(names, test.names) {
				t.Errorf("got %q, want %q", names, test.names)
			}
		})
	}
}

// A forged result may be as deep as jsontext allows, and the answer puts one more level around it.
func TestReadReportBoundsDepth(t *testing.T) {
	t.Parallel()
	nested := func(depth int) []byte {
		return frame('R', strings.Repeat("[", depth)+strings.Repeat("]", depth))
	}
	if _, err := ReadReport(bytes.NewReader(nested(9990)), bounded(1<<20)); err != nil {
		t.Errorf("9990 levels: %v", err)
	}
	if _, err := ReadReport(bytes.NewReader(nested(9999)), bounded(1<<20)); !errors.Is(err, ErrMalformed) {
		t.Errorf("9999 levels: %v", err)
	}
}

func TestReadReport(t *testing.T) {
	t.Parallel()
	const limit = 32
	tests := map[string]struct {
		sent    []byte
		result  string
		failure *jobs.Failure
		err     error
	}{
		"a result": {sent: frame('R', `{"mean":3.0}`), result: `{"mean":3.0}`},
		"exactly the limit": {
			sent:   frame('R', `"`+strings.Repeat("x", limit-2)+`"`),
			result: `"` + strings.Repeat("x", limit-2) + `"`,
		},
		"one byte over":       {sent: frame('R', strings.Repeat("1", limit+1)), err: ErrResultTooLarge},
		"announced, not sent": {sent: []byte{'R', 0xff, 0xff, 0xff, 0xff}, err: ErrResultTooLarge},
		"an exception": {
			sent:    frame('E', `{"code":"exception","message":"ValueError: no"}`),
			failure: &jobs.Failure{Code: jobs.CodeException, Message: "ValueError: no"},
		},
		"an enforced code": {sent: frame('E', `{"code":"timeout","message":"x"}`), err: ErrMalformed},
		"no message":       {sent: frame('E', `{"code":"exception"}`), err: ErrMalformed},
		"a forged limit": {
			sent: frame('E',
				`{"code":"exit","message":"m","signal":"SIGKILL","limit":{"name":"wall"}}`),
			failure: &jobs.Failure{Code: jobs.CodeExit, Message: "m"},
		},
		"missing main, with a hint": {
			sent:    frame('E', `{"code":"missing_main","message":"m","hint":"h"}`),
			failure: &jobs.Failure{Code: jobs.CodeMissingMain, Message: "m", Hint: "h"},
		},
		"an exit code of an exception": {
			sent:    frame('E', `{"code":"exception","message":"m","exit_code":7}`),
			failure: &jobs.Failure{Code: jobs.CodeException, Message: "m"},
		},
		"an exit code that no process has": {
			sent: frame('E', `{"code":"exit","message":"m","exit_code":256}`), err: ErrMalformed,
		},
		"a negative exit code": {sent: frame('E', `{"code":"exit","message":"m","exit_code":-1}`), err: ErrMalformed},
		"nothing":              {sent: nil, err: io.EOF},
		"half a header":        {sent: []byte{'R', 0}, err: ErrMalformed},
		"half a payload":       {sent: frame('R', `{"a":1}`)[:9], err: ErrMalformed},
		"another kind":         {sent: frame('Y', ``), err: ErrMalformed},
		"not JSON":             {sent: frame('R', `{a:1}`), err: ErrMalformed},
		"NaN":                  {sent: frame('R', `NaN`), err: ErrMalformed},
		"a duplicate name":     {sent: frame('R', `{"a":1,"a":2}`), err: ErrMalformed},
		"two values":           {sent: frame('R', `1 2`), err: ErrMalformed},
		"bad UTF-8":            {sent: frame('R', "\"\xff\""), err: ErrMalformed},
		"text instead":         {sent: []byte("hello world, this is a print"), err: ErrMalformed},
		"an empty result":      {sent: frame('R', ``), err: ErrMalformed},
		"only the first count": {sent: append(frame('R', `1`), frame('R', `2`)...), result: `1`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ReadReport(bytes.NewReader(test.sent), bounded(limit))
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if string(got.Result) != test.result {
				t.Errorf("result %q, want %q", got.Result, test.result)
			}
			if (got.Failure == nil) != (test.failure == nil) || got.Failure != nil && *got.Failure != *test.failure {
				t.Errorf("failure %+v, want %+v", got.Failure, test.failure)
			}
		})
	}
}

// FuzzReadReport reads what user code may write to the channel.
func FuzzReadReport(f *testing.F) {
	f.Add(frame('R', `{"mean":3.0,"sum":15}`))
	f.Add(frame('E', `{"code":"exception","message":"x","line":3,"exit_code":1}`))
	f.Add([]byte{'R', 0xff, 0xff, 0xff, 0xff, '1'})
	notes := `{"notes":["a"],"files_omitted":[{"name":"a","size":null,"limit":"wall"}]}`
	f.Add(slices.Concat(frame('N', notes), frame('R', "1")))
	displays := `{"displays":[{"forms":[{"type":"image/png","file":"a"},{"type":"application/json","json":{"a":1}},` +
		`{"type":"text/plain","text":"x"}]}],"displays_omitted":[{"display":2,"type":"","bytes":9,"limit":"displays"}]}`
	f.Add(slices.Concat(outputFrame("a", ""), frame('D', displays), frame('R', "1")))
	f.Add([]byte("print"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		got, err := ReadReport(bytes.NewReader(sent), bounded(1<<10))
		if err != nil {
			if got.Result != nil || got.Failure != nil || got.Displays != nil {
				t.Error("a refused message left something behind")
			}
			return
		}
		if (got.Result == nil) == (got.Failure == nil) {
			t.Error("a report is either a result or a failure")
		}
		if got.Failure != nil && (!got.Failure.Code.Reported() || got.Failure.Message == "") {
			t.Errorf("taken: %+v", got.Failure)
		}
		if got.Result != nil && !got.Result.IsValid() {
			t.Error("an invalid result was taken")
		}
		checkDisplays(t, got)
	})
}

// checkDisplays fails for displays that clients must not get.
func checkDisplays(t *testing.T, got Report) {
	t.Helper()
	if len(got.Displays) > jobs.MaxDisplays || jobs.DisplaysSize(got.Displays) > jobs.MaxDisplaysBytes {
		t.Error("too many displays were taken")
	}
	for _, display := range got.Displays {
		if len(display.Forms) == 0 {
			t.Error("a display without a form was taken")
		}
		for _, form := range display.Forms {
			isFile := func(file jobs.OutputFile) bool { return file.Name == form.File }
			if form.File != "" && !slices.ContainsFunc(got.Files, isFile) {
				t.Errorf("the file %q of a display is missing", form.File)
			}
			if form.JSON != nil && !form.JSON.IsValid() {
				t.Error("a form of invalid JSON was taken")
			}
		}
	}
}
