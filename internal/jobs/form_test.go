package jobs

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

func TestDecodeForm(t *testing.T) {
	t.Parallel()
	got, err := DecodeForm([]FormPart{
		{Name: "script", Content: []byte("x")},
		{Name: "args", FileName: "args.json", Content: []byte("\ufeff{ \"n\": 1.0 }\r\n")},
		{Name: "async", Content: []byte("true")},
		{Name: "labels", Content: []byte(`{"customer": "42"}`)},
		{Name: "files", FileName: "d/a.csv", Content: []byte("a,b\n")},
		{Name: "file_refs", Content: []byte(`[{"path":"b","file_id":"f"}, {"path":"c","job_id":"j","name":"n"}]`)},
		{Name: "files", FileName: "z", Content: []byte("z")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Request{
		Script: "x", Async: true, Labels: map[string]string{"customer": "42"},
		Inputs: &Inputs{Args: jsontext.Value(`{"n":1.0}`), Files: []File{
			{Path: "d/a.csv", Content: []byte("a,b\n")},
			{Path: "z", Content: []byte("z")},
			{Path: "b", Ref: FileRef{FileID: "f"}},
			{Path: "c", Ref: FileRef{JobID: "j", Name: "n"}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("not as wanted (-want +got):\n%s", diff)
	}
}

// TestDecodeFormRefusesByName: the message names the part and what to send instead.
func TestDecodeFormRefusesByName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, fileName, content, want string }{
		{"file", "d.csv", "x,y\n", `unknown part "file"; did you mean "files"? The parts are "script", `},
		{"file", "d.csv", "\xff\xfe", `unknown part "file"; did you mean "files"?`},
		{"files[]", "d.csv", "x", `unknown part "files[]"; did you mean "files"?`},
		{"Files", "d.csv", "x", `unknown part "Files"; did you mean "files"?`},
		{"arg", "", "1", `unknown part "arg"; did you mean "args"?`},
		{"wibble", "", "{}", `unknown part "wibble"; the parts are "script", `},
		{"", "", "x", `unknown part ""; the parts are`},
		{"files", "", "x", `"files": the path "" cannot be used: it is empty; ` +
			`a file needs one (in a form it is the part's file name; with curl: -F files=@data.csv)`},
		{"args", "", "n=5", `"args" must be a JSON object of main()'s keyword arguments, such as {"n": 5}, or ` +
			`an array of strings with the entry script; ` +
			`it is not valid JSON: invalid character`},
		{"args", "", "", `"args" must be a JSON object of main()'s keyword arguments, such as {"n": 5}, or ` +
			`an array of strings with the entry script; it is empty`},
		{"args", "", "[5]", `"args" must be an object of main()'s keyword arguments, not an array`},
		{"env", "", "A=b", `"env" must be a JSON object of strings, such as {"MODE": "fast"}; it is not valid JSON`},
		{
			"limits", "", "5s",
			`"limits" must be a JSON object of numbers, such as {"wall_seconds": 2}; it is not valid JSON`,
		},
		{"start_within", "", "5s", `"start_within" must be a number of seconds, such as 5; it is not valid JSON`},
		{
			"file_refs", "", "f_x",
			`"file_refs" must be a JSON array, such as [{"path": "data.csv", "file_id": "f_..."}]; it is not valid`,
		},
		{"file_refs", "", "{}", `"file_refs" must be an array, not an object`},
		{"file_refs", "", `[{"path":"a"}]`, `"file_refs[0]" needs one of "content"`},
		{"file_refs", "", `[{"path":"../a","file_id":"f"}]`, `"files": the path "../a" cannot be used`},
		{"async", "", "yes", `"async" must be true or false; it is not valid JSON`},
		{"async", "", "1", `"async" must be true or false, not a number`},
	} {
		_, err := DecodeForm([]FormPart{
			{Name: "script", Content: []byte("x")},
			{Name: c.name, FileName: c.fileName, Content: []byte(c.content)},
		})
		if err == nil || CodeOf(err) != CodeInvalidRequest || !strings.HasPrefix(AsError(err).Message, c.want) {
			t.Errorf("%s=%s: got %v, want %q", c.name, c.content, err, c.want)
		}
	}
}

// TestTooLargeNamesThePart is about bodies of which only the beginning was read.
func TestTooLargeNamesThePart(t *testing.T) {
	t.Parallel()
	cut := func(field string) []byte {
		return []byte(`{"script":"x","args":{"n":1},` + field + strings.Repeat("a", MaxRequestBytes))
	}
	for name, c := range map[string]struct {
		err  error
		code Code
		want string
		on   LimitHit
	}{
		"files": {
			JSONTooLarge(cut(`"files":[{"path":"a","content":"`)), CodeInputTooLarge,
			`the body has more than 8388608 bytes; the largest part is "files": ` +
				`send large files as multipart/form-data, which may have 20971520 bytes`,
			LimitHit{"body", MaxRequestBytes, "bytes"},
		},
		"stdin": {
			JSONTooLarge(cut(`"stdin":"`)), CodeInputTooLarge,
			`the body has more than 8388608 bytes; the largest part is "stdin", which may have 1048576`,
			LimitHit{"body", MaxRequestBytes, "bytes"},
		},
		"script": {
			JSONTooLarge([]byte(`{"script":"` + strings.Repeat("a", MaxRequestBytes))), CodeScriptTooLarge,
			`the body has more than 8388608 bytes; the largest part is "script", which may have 51200`,
			LimitHit{"script", MaxScriptBytes, "bytes"},
		},
		"spaces": {
			JSONTooLarge([]byte(`{"script":"x"` + strings.Repeat(" ", MaxRequestBytes))), CodeInputTooLarge,
			`the body has more than 8388608 bytes`,
			LimitHit{"body", MaxRequestBytes, "bytes"},
		},
		"no JSON": {
			JSONTooLarge([]byte(strings.Repeat("a", MaxRequestBytes))), CodeInputTooLarge,
			`the body has more than 8388608 bytes`,
			LimitHit{"body", MaxRequestBytes, "bytes"},
		},
		"an unknown one": {
			JSONTooLarge(cut(`"wibble":"`)), CodeInputTooLarge,
			`the body has more than 8388608 bytes; the largest part is "wibble", which a request does not have`,
			LimitHit{"body", MaxRequestBytes, "bytes"},
		},
		"a form": {
			FormTooLarge([]FormPart{
				{Name: "script"},
				{Name: "files", Content: make([]byte, MaxFilesBytes/2)},
				{Name: "files", Content: make([]byte, MaxFilesBytes)},
			}), CodeInputTooLarge,
			`the body has more than 20971520 bytes; the largest part is "files": ` +
				`all files together may have 16777216 bytes`,
			LimitHit{"body", MaxFormBytes, "bytes"},
		},
	} {
		got := AsError(c.err)
		if got.Code != c.code || got.Message != c.want || got.Limit == nil || *got.Limit != c.on {
			t.Errorf("%s: got %v and %+v", name, got, got.Limit)
		}
	}
}
