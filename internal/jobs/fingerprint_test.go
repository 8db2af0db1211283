package jobs

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

func fingerprintOf(t *testing.T, body string) string {
	t.Helper()
	request, err := DecodeRequest([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return Fingerprint(&request)
}

func TestFingerprintIgnoresTheSpelling(t *testing.T) {
	t.Parallel()
	want := fingerprintOf(t, `{"script":"x","args":{"a":1,"b":[1.0,"é",{"c":null,"d":{}}]},"env":{"A":"1","B":"2"},`+
		`"limits":{"wall_seconds":0.5,"processes":4},"files":[{"path":"a","content":"é"},{"path":"b","content":""}]}`)
	for name, body := range map[string]string{
		"spaces": "\r\n { \"script\" : \"x\", \"args\" :\t{\"a\":1, \"b\":[ 1.0 , \"é\", " +
			"{\"c\":null,\"d\":{ }}]},\"env\":{\"A\":\"1\",\"B\":\"2\"},\"limits\":{\"wall_seconds\":0.5," +
			"\"processes\":4},\"files\":[{\"path\":\"a\",\"content\":\"é\"},{\"path\":\"b\",\"content\":\"\"}] }\n",
		"order": `{"files":[{"content":"","path":"b"},{"content":"é","path":"a"}],"limits":{"processes":4,` +
			`"wall_seconds":0.5},"env":{"B":"2","A":"1"},"args":{"b":[1.0,"é",{"d":{},"c":null}],"a":1},"script":"x"}`,
		"escapes": `{"scr\u0069pt":"\u0078","args":{"\u0061":1,"b":[1.0,"\u00e9",{"c":null,"d":{}}]},` +
			`"env":{"A":"\u0031","B":"2"},"limits":{"wall_seconds":0.50,"processes":4.0},"files":[{"path":"a",` +
			`"content_base64":"w6k="},{"path":"b","content_base64":""}]}`,
		"an answer": `{"async":true,"script":"x","args":{"a":1,"b":[1.0,"é",{"c":null,"d":{}}]},"env":{"A":"1",` +
			`"B":"2"},"limits":{"wall_seconds":0.5,"processes":4},"files":[{"path":"a","content":"é"},{"path":"b",` +
			`"content":""}]}`,
	} {
		if got := fingerprintOf(t, body); got != want {
			t.Errorf("%s: it has another meaning", name)
		}
	}
	form, err := DecodeForm([]FormPart{
		{Name: "files", FileName: "b"},
		{Name: "limits", Content: []byte(`{"wall_seconds":0.5,"processes":4}`)},
		{Name: "env", Content: []byte(`{"A":"1","B":"2"}`)},
		{Name: "args", Content: []byte(`{"a": 1, "b": [1.0, "é", {"c": null, "d": {}}]}`)},
		{Name: "files", FileName: "a", Content: []byte("é")},
		{Name: "script", Content: []byte("x")},
	})
	if err != nil || Fingerprint(&form) != want {
		t.Errorf("a form: it has another meaning, %v", err)
	}
	if fingerprintOf(t, `{"script":"x"}`) != fingerprintOf(t,
		`{"script":"x","args":{},"stdin":"","env":{},"files":[],"limits":{},"labels":{},"async":false}`) {
		t.Error("what is empty differs from what is not there")
	}
}

func TestFingerprintKeepsWhatDiffers(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, body := range []string{
		`{"script":"x"}`, `{"script":"x "}`, `{"script":"x","stdin":"y"}`, `{"script":"x","priority":"low"}`,
		`{"script":"x","priority":"default"}`,
		`{"script":"x","args":{"n":1}}`, `{"script":"x","args":{"n":1.0}}`, `{"script":"x","args":{"n":"1"}}`,
		`{"script":"x","args":{"n":[1,2]}}`, `{"script":"x","args":{"n":[2,1]}}`,
		`{"script":"x","args":{"n":9007199254740993}}`, `{"script":"x","args":{"n":9007199254740992}}`,
		`{"script":"x","args":{"n":-0.0}}`, `{"script":"x","args":{"n":0.0}}`,
		`{"script":"x","env":{"A":"B"}}`, `{"script":"x","env":{"AB":""}}`, `{"script":"x","env":{"A":"","B":""}}`,
		`{"script":"x","files":[{"path":"a","content":"b"}]}`, `{"script":"x","files":[{"path":"b","content":"a"}]}`,
		`{"script":"x","files":[{"path":"ab","content":""}]}`,
		`{"script":"x","files":[{"path":"a","file_id":"b"}]}`, `{"script":"x","files":[{"path":"a","file_id":"c"}]}`,
		`{"script":"x","files":[{"path":"a","job_id":"b","name":"c"}]}`,
		`{"script":"x","files":[{"path":"a","job_id":"c","name":"b"}]}`,
		`{"script":"x","limits":{"wall_seconds":1}}`, `{"script":"x","limits":{"cpu_seconds":1}}`,
		`{"script":"x","callback_url":"https://example.org/"}`,
		`{"script":"x","labels":{"A":"B"}}`, `{"script":"x","labels":{"AB":""}}`,
		`{"script":"x","labels":{"A":"","B":""}}`,
	} {
		sum := fingerprintOf(t, body)
		if other, there := seen[sum]; there {
			t.Errorf("%s means the same as %s", body, other)
		}
		seen[sum] = body
	}
}

// TestFingerprintKnowsEachField: a new field must be part of the hash, or be listed here.
func TestFingerprintKnowsEachField(t *testing.T) {
	t.Parallel()
	apart := []string{"Async", "ReceivedAt", "ID", "IdempotencyKey", "Fingerprint"}
	whole := Request{Script: "x", Inputs: &Inputs{}}
	changed := func(name string, sum string) {
		if (sum != Fingerprint(&whole)) == slices.Contains(apart, name) {
			t.Errorf("%s: is it a part of what a request means?", name)
		}
	}
	for field := range reflect.TypeFor[Request]().Fields() {
		request := whole
		fillFields(reflect.ValueOf(&request).Elem().FieldByIndex(field.Index))
		changed(field.Name, Fingerprint(&request))
	}
	for field := range reflect.TypeFor[Inputs]().Fields() {
		request := whole
		request.Inputs = &Inputs{}
		fillFields(reflect.ValueOf(request.Inputs).Elem().FieldByIndex(field.Index))
		changed("Inputs."+field.Name, Fingerprint(&request))
	}
}

// fillFields sets v to a value other than zero.
func fillFields(v reflect.Value) {
	switch at := v.Addr().Interface().(type) {
	case *string:
		*at = "y"
	case *bool:
		*at = true
	case *Entry:
		*at = EntryScript
	case *Priority:
		*at = PriorityLow
	case **Inputs:
		*at = &Inputs{Stdin: "y"}
	case *time.Duration:
		*at = time.Second
	case *time.Time:
		*at = time.Unix(1, 0)
	case *jsontext.Value:
		*at = jsontext.Value(`{"n":1}`)
	case *map[string]string:
		*at = map[string]string{"A": "b"}
	case *[]File:
		*at = []File{{Path: "a"}}
	case *RequestedLimits:
		at.Processes = 4
	case *func():
		*at = func() {}
	default:
		panic("a field of a kind that this test does not know: " + v.Type().String())
	}
}
