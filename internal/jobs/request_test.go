package jobs

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

func TestDecodeRequestAccepts(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("a", MaxScriptBytes)
	cases := []struct {
		name, body string
		want       Request
	}{
		{"a byte order mark", "\ufeff" + `{"script":"def main(): pass"}`, Request{Script: "def main(): pass"}},
		{"script", `{"script":"def main(): pass"}`, Request{Script: "def main(): pass"}},
		{"async", `{"script":"x","async":true}`, Request{Script: "x", Async: true}},
		{"async false, other order", ` { "async" : false , "script" : "x" } ` + "\n", Request{Script: "x"}},
		{"empty script", `{"script":""}`, Request{}},
		{"escapes", `{"script":"\u0061\n\t\"\\\/\ud83d\ude00"}`, Request{Script: "a\n\t\"\\/😀"}},
		{"raw non-ASCII", `{"script":"é😀"}`, Request{Script: "é😀"}},
		{"replacement character", `{"script":"\ufffd�"}`, Request{Script: "��"}},
		{"escaped field name", `{"scri\u0070t":"x"}`, Request{Script: "x"}},
		{"exactly the limit", `{"script":"` + full + `"}`, Request{Script: full}},
		{
			"inputs", `{"script":"x","args":{"a":3.0,"b":[null]},"stdin":"é\n","env":{"_a1":"","B":"="}}`,
			Request{
				Script: "x",
				Inputs: &Inputs{
					Args: jsontext.Value(`{"a":3.0,"b":[null]}`), Stdin: "é\n",
					Env: map[string]string{"_a1": "", "B": "="},
				},
			},
		},
		{
			"limits", `{"script":"x","limits":{"wall_seconds":0.5,"cpu_seconds":1e0,"memory_mb":32.5,"processes":4.0,` +
				`"output_bytes":1}}`,
			Request{
				Script: "x",
				Inputs: &Inputs{Limits: RequestedLimits{
					Wall: 500 * time.Millisecond, CPU: time.Second,
					MemoryBytes: 65 << 19, Processes: 4, OutputBytes: 1,
				}},
			},
		},
		{
			"the limit, all escaped", `{"script":"` + strings.Repeat(`\u0061`, MaxScriptBytes) + `"}`,
			Request{Script: full},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := DecodeRequest([]byte(c.body))
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("not as wanted (-want +got):\n%.2000s", diff)
			}
		})
	}
}

func TestDecodeRequestRefuses(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, body, want string
	}{
		{"empty", "", "the body is empty"},
		{"spaces", " \r\n\t", "the body is empty"},
		{"array", `[]`, "the body must be a JSON object, not an array"},
		{"string", `"def main(): pass"`, "the body must be a JSON object, not a string"},
		{"null", `null`, "the body must be a JSON object, not null"},
		{"python", `def main(): pass`, "the body is not valid JSON: invalid character 'd' at start of value at byte 0"},
		{"byte order marks", "\ufeff\ufeff{}", "the body is not valid JSON: "},
		{"cut off", `{"script":"x`, "the body is not valid JSON: it ends too early, at byte 12"},
		{"raw newline", "{\"script\":\"a\nb\"}", `the body is not valid JSON: invalid character '\n' in string`},
		{"bad escape", `{"script":"\x"}`, "the body is not valid JSON: "},
		{"trailing comma", `{"script":"x",}`, "the body is not valid JSON: "},
		{"two values", `{"script":"x"}{}`, "the body is not valid JSON: more follows after its end at byte 14"},
		{"single quotes", `{'script':'x'}`, "the body is not valid JSON: "},
		{"NaN", `{"script":NaN}`, "the body is not valid JSON: "},
		{"too deep", strings.Repeat("[", 20000), "the body is not valid JSON: "},
		{"not UTF-8", "{\"script\":\"a\xff\"}", "the body is not valid UTF-8 at byte 12"},
		{"UTF-8 surrogate", "{\"script\":\"\xed\xa0\x80\"}", "the body is not valid UTF-8 at byte 11"},
		{"no script", `{}`, `"script" is required`},
		{"only async", `{"async":true}`, `"script" is required`},
		{"script null", `{"script":null}`, `"script" must be a string, not null`},
		{"script number", `{"script":1}`, `"script" must be a string, not a number`},
		{"script object", `{"script":{}}`, `"script" must be a string, not an object`},
		{"script array", `{"script":["x"]}`, `"script" must be a string, not an array`},
		{"script boolean", `{"script":true}`, `"script" must be a string, not a boolean`},
		{"async string", `{"script":"x","async":"true"}`, `"async" must be true or false, not a string`},
		{"async null", `{"script":"x","async":null}`, `"async" must be true or false, not null`},
		{"misspelt", `{"scrpt":"x"}`, `unknown field "scrpt"; did you mean "script"? The fields are "script", ` +
			`"args", "stdin", "env", "files", "limits", "async", "priority", "callback_url", ` +
			`"start_within", "entry", "environment" and "labels"`},
		{"other case", `{"Script":"x"}`, `unknown field "Script"; did you mean "script"?`},
		{"nothing near", `{"x":"x"}`, `unknown field "x"; the fields are "script", `},
		{
			"an absolute path", `{"script":"x","files":[{"path":"/mnt/data/sales.csv","content":""}]}`,
			`"files": the path "/mnt/data/sales.csv" cannot be used: it is absolute; ` +
				`files are placed in the script's working directory: give it as "sales.csv"`,
		},
		{"a path out", `{"script":"x","files":[{"path":"../a.csv","content":""}]}`, `"files": ` +
			`the path "../a.csv" cannot be used: it has an empty part, or . or .. for one; ` +
			`files are placed in the script's working directory: give it as "a.csv"`},
		{
			"a path of another system", `{"script":"x","files":[{"path":"C:\\data\\a.csv","content":""}]}`,
			`"files": the path "C:\\data\\a.csv" cannot be used: it has a backslash; folders are separated by /; ` +
				`files are placed in the script's working directory: give it as "a.csv"`,
		},
		{
			"no path", `{"script":"x","files":[{"content":""}]}`,
			`"files": the path "" cannot be used: it is empty; a file needs one`,
		},
		{
			"a file's field", `{"script":"x","files":[{"nam":"a.csv","content":""}]}`,
			`"files[0]" has the unknown field "nam"; did you mean "name"? The fields are "path", "content", `,
		},
		{
			"a file's name", `{"script":"x","files":[{"name":"a.csv","content":""}]}`,
			`"files[0].name" is the name of a file of "job_id"; the path for the script is "path"`,
		},
		{
			"a job without a file", `{"script":"x","files":[{"path":"a","job_id":"b"}]}`,
			`"files[0]" needs one of "content", "content_base64", "job_id" with "name", and "file_id"`,
		},
		{
			"two sources", `{"script":"x","files":[{"path":"a","job_id":"b","name":"c","file_id":"d"}]}`,
			`"files[0]" needs one of "content",`,
		},
		{"an empty id", `{"script":"x","files":[{"path":"a","file_id":""}]}`, `"files[0].file_id" is empty`},
		{"a number as id", `{"script":"x","files":[{"path":"a","file_id":5}]}`, `"files[0].file_id" must be a string`},
		{
			"a part of forms", `{"script":"x","file_refs":[]}`, `unknown field "file_refs"; the fields are "script", `,
		},
		{"unknown beside script", `{"script":"x","limit":{"a":[1,{}]}}`, `unknown field "limit"`},
		{
			"args array", `{"script":"x","args":[1]}`,
			`"args" must be an object of main()'s keyword arguments, not an array`,
		},
		{
			"args null", `{"script":"x","args":null}`,
			`"args" must be an object of main()'s keyword arguments (or an array of strings with "entry": "script"), ` +
				`not null`,
		},
		{
			"args, a name twice", `{"script":"x","args":{"a":{"b":1,"b":2}}}`,
			`"args" has a name twice in one object, or a lone surrogate`,
		},
		{
			"args, a lone surrogate", `{"script":"x","args":{"a":"\ud800"}}`,
			`"args" has a name twice in one object, or a lone surrogate`,
		},
		{
			"args, too deep", `{"script":"x","args":{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}`,
			`"args" is nested deeper than 100 levels`,
		},
		{
			"args, a long number", `{"script":"x","args":{"a":` + strings.Repeat("1", 4301) + `}}`,
			`"args" has a number of more than 4300 digits`,
		},
		{"stdin number", `{"script":"x","stdin":1}`, `"stdin" must be a string, not a number`},
		{"stdin, a lone surrogate", `{"script":"x","stdin":"\udc00"}`, `"stdin" contains a lone surrogate`},
		{"env string", `{"script":"x","env":"A=b"}`, `"env" must be an object, not a string`},
		{"env number", `{"script":"x","env":{"A":1}}`, `"env.A" must be a string, not a number`},
		{"env, no name", `{"script":"x","env":{"":"b"}}`, `"env": "" is no name for a variable`},
		{"env, an odd name", `{"script":"x","env":{"A=B":"b"}}`, `"env": "A=B" is no name for a variable`},
		{"env, a digit first", `{"script":"x","env":{"1A":"b"}}`, `"env": "1A" is no name for a variable`},
		{"env, a line feed in the name", `{"script":"x","env":{"A\n":"b"}}`, `"env": "A\n" is no name for a variable`},
		{"env, a long name", `{"script":"x","env":{"` + strings.Repeat("A", 129) + `":"b"}}`, `"env": "AAAA`},
		{
			"env, one of ours", `{"script":"x","env":{"PATH":"/tmp"}}`,
			`"env": "PATH" is the sandbox's own and cannot be set`,
		},
		{
			"env, read at Python's start", `{"script":"x","env":{"PYTHONHASHSEED":"0"}}`,
			`"env": "PYTHONHASHSEED" cannot be set: Python reads it when it starts`,
		},
		{
			"env, a newer one of Python's", `{"script":"x","env":{"PYTHON_GIL":"0"}}`,
			`"env": "PYTHON_GIL" cannot be set: Python reads it when it starts`,
		},
		{
			"env, another encoding", `{"script":"x","env":{"PYTHONIOENCODING":"latin-1"}}`,
			`"env": PYTHONIOENCODING can be utf-8 only`,
		},
		{"env twice", `{"script":"x","env":{"A":"b","\u0041":"c"}}`, `"A" in "env" is given twice`},
		{"env, NUL", `{"script":"x","env":{"A":"b\u0000"}}`, `"env.A" contains a NUL character at byte 1`},
		{"env, too many", `{"script":"x","env":{` + manyVariables(65) + `}}`, `"env" has more than 64 variables`},
		{"limits array", `{"script":"x","limits":[]}`, `"limits" must be an object, not an array`},
		{
			"limits, an unknown one", `{"script":"x","limits":{"wall":1}}`,
			`"limits" has the unknown field "wall"; did you mean "wall_seconds"? The fields`,
		},
		{
			"limits twice", `{"script":"x","limits":{"processes":4,"processes":5}}`,
			`"processes" in "limits" is given twice`,
		},
		{
			"limits string", `{"script":"x","limits":{"wall_seconds":"1"}}`,
			`"limits.wall_seconds" must be a number, not a string`,
		},
		{
			"limits 0", `{"script":"x","limits":{"wall_seconds":0}}`,
			`"limits.wall_seconds" must be a number of at least 0.1`,
		},
		{
			"limits negative", `{"script":"x","limits":{"cpu_seconds":-1}}`,
			`"limits.cpu_seconds" must be a number of at least 0.1`,
		},
		{
			"limits, little memory", `{"script":"x","limits":{"memory_mb":31.9}}`,
			`"limits.memory_mb" must be a number of at least 32`,
		},
		{
			"limits, half a process", `{"script":"x","limits":{"processes":1.5}}`,
			`"limits.processes" must be a whole number of at least 1`,
		},
		{
			"limits, no output", `{"script":"x","limits":{"output_bytes":0}}`,
			`"limits.output_bytes" must be a whole number of at least 1`,
		},
		{
			"start_within string", `{"script":"x","start_within":"5s"}`,
			`"start_within" must be a number of seconds, not a string`,
		},
		{
			"start_within 0", `{"script":"x","start_within":0}`,
			`"start_within" must be a number of seconds of at least 0.001`,
		},
		{
			"start_within negative", `{"script":"x","start_within":-1}`,
			`"start_within" must be a number of seconds of at least 0.001`,
		},
		{
			"start_within twice", `{"script":"x","start_within":1,"start_within":1}`,
			`field "start_within" is given twice`,
		},
		{"empty name", `{"":"x"}`, `unknown field ""`},
		{"control character in the name", `{"a\u0000\n":1}`, `unknown field "a\x00\n"`},
		{"surrogate in the name", `{"\ud800":1}`, `unknown field "�"`},
		{"twice", `{"script":"x","script":"x"}`, `field "script" is given twice`},
		{"twice, escaped", `{"script":"x","s\u0063ript":"y"}`, `field "script" is given twice`},
		{"async twice", `{"async":true,"async":true,"script":"x"}`, `field "async" is given twice`},
		{"high surrogate", `{"script":"a\ud800b"}`, `"script" contains a lone surrogate`},
		{"low surrogate", `{"script":"\udc00"}`, `"script" contains a lone surrogate`},
		{"two high ones", `{"script":"\ud800\ud800"}`, `"script" contains a lone surrogate`},
		{"NUL", `{"script":"ab\u0000"}`, `"script" contains a NUL character at byte 2`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := DecodeRequest([]byte(c.body))
			if err == nil {
				t.Fatal("accepted")
			}
			if CodeOf(err) != CodeInvalidRequest || !strings.HasPrefix(AsError(err).Message, c.want) {
				t.Errorf("got %s %q, want %q", CodeOf(err), AsError(err).Message, c.want)
			}
		})
	}
}

func TestDecodeRequestScriptTooLarge(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"ASCII":                      strings.Repeat("a", MaxScriptBytes+1),
		"fewer characters, as UTF-8": strings.Repeat("é", MaxScriptBytes/2) + "a",
		"escaped":                    strings.Repeat(`\u0061`, MaxScriptBytes+1),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeRequest([]byte(`{"script":"` + script + `"}`))
			if err == nil || CodeOf(err) != CodeScriptTooLarge {
				t.Fatalf("got %v", err)
			}
			if want := `"script" has 51201 bytes of UTF-8, at most 51200 are allowed`; AsError(err).Message != want {
				t.Errorf("got %q, want %q", AsError(err).Message, want)
			}
		})
	}
}

func TestDecodeRequestCutsLongNames(t *testing.T) {
	t.Parallel()
	_, err := DecodeRequest([]byte(`{"` + strings.Repeat("é", 5000) + `":1}`))
	if err == nil || len(AsError(err).Message) > 250 || !utf8.ValidString(AsError(err).Message) {
		t.Errorf("got %v", err)
	}
}

func manyVariables(n int) string {
	pairs := make([]string, n)
	for i := range pairs {
		pairs[i] = fmt.Sprintf(`"V%d":""`, i)
	}
	return strings.Join(pairs, ",")
}

func TestDecodeRequestInputTooLarge(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"args":  `{"script":"","args":{"a":"` + strings.Repeat("x", MaxArgsBytes) + `"}}`,
		"stdin": `{"script":"","stdin":"` + strings.Repeat("x", MaxStdinBytes+1) + `"}`,
		"env":   `{"script":"","env":{"A":"` + strings.Repeat("x", MaxEnvBytes) + `"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeRequest([]byte(body))
			if err == nil || CodeOf(err) != CodeInputTooLarge ||
				!strings.HasPrefix(AsError(err).Message, `"`+name+`" has `) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCheckLimits(t *testing.T) {
	t.Parallel()
	server := DefaultLimits()
	for body, want := range map[string]string{
		`{}`: "",
		`{"wall_seconds":15,"cpu_seconds":10,"memory_mb":700,"processes":64,"output_bytes":1048576}`: "",
		`{"wall_seconds":15.001}`:   `"limits.wall_seconds" is 15.001, at most 15 is allowed here`,
		`{"cpu_seconds":1e300}`:     `"limits.cpu_seconds" is 1000000000, at most 10 is allowed here`,
		`{"memory_mb":701}`:         `"limits.memory_mb" is 701, at most 700 is allowed here`,
		`{"processes":65}`:          `"limits.processes" is 65, at most 64 is allowed here`,
		`{"output_bytes":1048577}`:  `"limits.output_bytes" is 1048577, at most 1048576 is allowed here`,
		`{"wall_seconds":1e999999}`: `"limits.wall_seconds" is 1000000000, at most 15 is allowed here`,
	} {
		request, err := DecodeRequest([]byte(`{"script":"","limits":` + body + `}`))
		if err == nil {
			err = request.Inputs.CheckLimits(server)
		}
		got := ""
		if err != nil {
			got = AsError(err).Message
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

// FuzzDecodeRequest checks for any body that the decoder never panics, that an accepted request is within its bounds
// and survives encoding and decoding, and that an error has one of three codes.
func FuzzDecodeRequest(f *testing.F) {
	for _, seed := range []string{
		`{"script":"def main(): pass","async":true}`, `{"script":"\ud83d\ude00\u0000"}`, `{"script":"\ud800"}`,
		`{"script":"x","script":"y"}`, `{"scrpt":[{"a":1e400}]}`, `[]`, ``, "\xff", `{"async":null}`,
		`{"script":"x"} {}`,
		`{"script":"x","args":{"a":[1,{"b":null}]},"stdin":"y","env":{"A":"b"},"limits":{"wall_seconds":0.5,` +
			`"processes":4}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := DecodeRequest(body)
		if err != nil {
			if code := CodeOf(err); code != CodeInvalidRequest && code != CodeScriptTooLarge &&
				code != CodeInputTooLarge {
				t.Fatalf("code %q", code)
			}
			if m := AsError(err).Message; m == "" || len(m) > 400 || !utf8.ValidString(m) {
				t.Fatalf("message %q", m)
			}
			return
		}
		if len(got.Script) > MaxScriptBytes || strings.ContainsRune(got.Script, 0) || !utf8.ValidString(got.Script) {
			t.Fatalf("accepted %q", got.Script)
		}
		if !jsontext.Value(strings.TrimPrefix(string(body), "\ufeff")).IsValid() {
			t.Fatalf("accepted a body that a strict parser refuses: %q", body)
		}
		again, marshalErr := json.Marshal(map[string]any{"script": got.Script, "async": got.Async})
		if marshalErr != nil {
			t.Fatal(marshalErr)
		}
		if back, err := DecodeRequest(again); err != nil || back.Script != got.Script || back.Async != got.Async {
			t.Fatalf("%q came back as %q, %v", got.Script, back.Script, err)
		}
	})
}

func TestDecodeTakesVariablesOfLibraries(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"TZ", "MPLBACKEND", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
		"PYTHONPATH", "PYTHONWARNINGS", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONUTF8", "PYTHON_HOME",
		"PYTHONIOENCODING",
	} {
		if _, err := DecodeRequest([]byte(`{"script":"x","env":{"` + name + `":"utf-8:strict"}}`)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
