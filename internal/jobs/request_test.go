package jobs

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func TestDecodeRequestAccepts(t *testing.T) {
	full := strings.Repeat("a", MaxScriptBytes)
	cases := []struct {
		name, body string
		want       Request
	}{
		{"script", `{"script":"def main(): pass"}`, Request{Script: "def main(): pass"}},
		{"async", `{"script":"x","async":true}`, Request{Script: "x", Async: true}},
		{"async false, other order", ` { "async" : false , "script" : "x" } ` + "\n", Request{Script: "x"}},
		{"empty script", `{"script":""}`, Request{}},
		{"escapes", `{"script":"\u0061\n\t\"\\\/\ud83d\ude00"}`, Request{Script: "a\n\t\"\\/😀"}},
		{"raw non-ASCII", `{"script":"é😀"}`, Request{Script: "é😀"}},
		{"replacement character", `{"script":"\ufffd�"}`, Request{Script: "��"}},
		{"escaped field name", `{"scri\u0070t":"x"}`, Request{Script: "x"}},
		{"exactly the limit", `{"script":"` + full + `"}`, Request{Script: full}},
		{"the limit, all escaped", `{"script":"` + strings.Repeat(`\u0061`, MaxScriptBytes) + `"}`, Request{Script: full}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := DecodeRequest([]byte(c.body))
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if got != c.want {
				t.Errorf("got %.80q %v, want %.80q %v", got.Script, got.Async, c.want.Script, c.want.Async)
			}
		})
	}
}

func TestDecodeRequestRefuses(t *testing.T) {
	cases := []struct {
		name, body, want string
	}{
		{"empty", "", "the body is empty"},
		{"spaces", " \r\n\t", "the body is empty"},
		{"array", `[]`, "the body must be a JSON object, not an array"},
		{"string", `"def main(): pass"`, "the body must be a JSON object, not a string"},
		{"null", `null`, "the body must be a JSON object, not null"},
		{"python", `def main(): pass`, "the body is not valid JSON: invalid character 'd' at start of value at byte 0"},
		{"byte order mark", "\ufeff{}", "the body is not valid JSON: "},
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
		{"misspelt", `{"scrpt":"x"}`, `unknown field "scrpt"; the fields are "script", "async" and "priority"`},
		{"other case", `{"Script":"x"}`, `unknown field "Script"`},
		{"unknown beside script", `{"script":"x","limits":{"a":[1,{}]}}`, `unknown field "limits"`},
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
			if err.Code != CodeInvalidRequest || !strings.HasPrefix(err.Message, c.want) {
				t.Errorf("got %s %q, want %q", err.Code, err.Message, c.want)
			}
		})
	}
}

func TestDecodeRequestScriptTooLarge(t *testing.T) {
	for name, script := range map[string]string{
		"ASCII":                      strings.Repeat("a", MaxScriptBytes+1),
		"fewer characters, as UTF-8": strings.Repeat("é", MaxScriptBytes/2) + "a",
		"escaped":                    strings.Repeat(`\u0061`, MaxScriptBytes+1),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeRequest([]byte(`{"script":"` + script + `"}`))
			if err == nil || err.Code != CodeScriptTooLarge {
				t.Fatalf("got %v", err)
			}
			if want := `"script" has 51201 bytes of UTF-8, at most 51200 are allowed`; err.Message != want {
				t.Errorf("got %q, want %q", err.Message, want)
			}
		})
	}
}

func TestDecodeRequestCutsLongNames(t *testing.T) {
	_, err := DecodeRequest([]byte(`{"` + strings.Repeat("é", 5000) + `":1}`))
	if err == nil || len(err.Message) > 200 || !utf8.ValidString(err.Message) {
		t.Errorf("got %v", err)
	}
}

// FuzzDecodeRequest holds the decoder to its promises for any body: it never
// panics, what it accepts keeps the Request's bounds and is what encoding the
// request again gives, and what it refuses carries one of two codes.
func FuzzDecodeRequest(f *testing.F) {
	for _, seed := range []string{
		`{"script":"def main(): pass","async":true}`, `{"script":"\ud83d\ude00\u0000"}`, `{"script":"\ud800"}`,
		`{"script":"x","script":"y"}`, `{"scrpt":[{"a":1e400}]}`, `[]`, ``, "\xff", `{"async":null}`, `{"script":"x"} {}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := DecodeRequest(body)
		if err != nil {
			if err.Code != CodeInvalidRequest && err.Code != CodeScriptTooLarge {
				t.Fatalf("code %q", err.Code)
			}
			if err.Message == "" || len(err.Message) > 400 || !utf8.ValidString(err.Message) {
				t.Fatalf("message %q", err.Message)
			}
			return
		}
		if len(got.Script) > MaxScriptBytes || strings.ContainsRune(got.Script, 0) || !utf8.ValidString(got.Script) {
			t.Fatalf("accepted %q", got.Script)
		}
		if !jsontext.Value(body).IsValid() {
			t.Fatalf("accepted a body that a strict parser refuses: %q", body)
		}
		again, marshalErr := json.Marshal(map[string]any{"script": got.Script, "async": got.Async})
		if marshalErr != nil {
			t.Fatal(marshalErr)
		}
		if back, err := DecodeRequest(again); err != nil || back != got {
			t.Fatalf("%q came back as %q, %v", got.Script, back.Script, err)
		}
	})
}
