package wire

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"cellblock/internal/jobs"
)

// form returns a form of plain text in JSON.
func form(text string) string { return fmt.Sprintf(`{"type":"text/plain","text":%q}`, text) }

// shown returns the payload of a frame with one display that has these forms.
func shown(forms ...string) string {
	return `{"displays":[{"forms":[` + strings.Join(forms, ",") + `]}]}`
}

// omitted returns the payload of a frame with these omitted displays.
func omittedOnly(items ...string) string {
	return `{"displays_omitted":[` + strings.Join(items, ",") + `]}`
}

func TestReadDisplays(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		payload string
		// want is what was read, as JSON; "" if it is the payload.
		want string
	}{
		"nothing": {payload: `{}`, want: `{"displays":[],"displays_omitted":[]}`},
		"text":    {payload: shown(form("a"))},
		"no text": {payload: shown(form(""))},
		"three forms": {payload: shown(`{"type":"text/html","text":"<b>"}`,
			`{"type":"application/json","json":{"a":3.0}}`, form("a"))},
		"a file": {payload: shown(`{"type":"image/png","file":"f"}`, form("a"))},
		"a file, renamed": {
			payload: shown(`{"type":"image/png","file":"../g"}`),
			want:    shown(`{"type":"image/png","file":"_../g"}`),
		},
		"a file by a name that another has": {
			payload: shown(`{"type":"image/png","file":"F"}`), want: shown(`{"type":"image/png","file":"F~2"}`),
		},
		"a later field": {
			payload: `{"more":1,"displays":[{"forms":[` + form("a") + `],"more":2}]}`,
			want:    shown(form("a")),
		},
		"a vendor's": {payload: shown(`{"type":"application/vnd.plotly.v1+json","json":[]}`)},
		"omitted": {
			payload: omittedOnly(`{"display":3,"type":"text/html","bytes":2000000,"limit":"display_bytes"}`),
		},
		"omitted, whole": {payload: omittedOnly(`{"display":65,"type":"","limit":"displays"}`)},
		"omitted file": {
			payload: omittedOnly(`{"display":1,"type":"image/png","bytes":0,"limit":"output_files_bytes"}`),
		},
		"as many": {payload: `{"displays":[` + repeated(64, `{"forms":[`+form("a")+`]}`) + `]}`},
		"as long": {payload: shown(form(strings.Repeat("x", jobs.MaxDisplayTextBytes)))},
		"as long together": {payload: `{"displays":[` +
			repeated(4, `{"forms":[`+form(strings.Repeat("x", jobs.MaxDisplayTextBytes))+`]}`) + `]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readWith(test.payload)
			if err != nil {
				t.Fatal(err)
			}
			whole := displaysFrame(got.ResultDisplays)
			encoded, err := json.Marshal(whole)
			if err != nil {
				t.Fatal(err)
			}
			want := test.want
			if want == "" {
				want = test.payload
			}
			if !strings.Contains(want, `"displays_omitted"`) {
				want = strings.TrimSuffix(want, "}") + `,"displays_omitted":[]}`
			}
			if !strings.Contains(want, `"displays":`) {
				want = `{"displays":[],` + want[1:]
			}
			if string(encoded) != want {
				t.Errorf("got %.500s\nwant %.500s", encoded, want)
			}
			if len(got.Files) != 4 || string(got.Result) != "1" || !slices.Equal(got.Notes, []string{"a note"}) {
				t.Errorf("beside the displays: %+v", got)
			}
		})
	}
}

// readWith reads a report with four files, displays, a note and a result.
func readWith(payload string) (Report, error) {
	limits := bounded(10)
	limits.OutputFiles = 4
	return ReadReport(bytes.NewReader(slices.Concat(outputFrame("f", ""), outputFrame("../g", ""), outputFrame("F", ""),
		outputFrame("h", ""), frame('D', payload), frame('N', `{"notes":["a note"]}`), frame('R', "1"))), limits)
}

func repeated(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }

// User code can write anything to the channel.
func TestReadDisplaysRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 9990) + strings.Repeat("]", 9990)
	for name, payload := range map[string]string{
		"no JSON":                 `{`,
		"a list":                  `[]`,
		"two values":              `{} {}`,
		"no list":                 `{"displays":{}}`,
		"a duplicate name":        `{"displays":[],"displays":[]}`,
		"a duplicate name inside": shown(`{"type":"application/json","json":{"a":1,"a":2}}`),
		"bad UTF-8":               shown("{\"type\":\"text/plain\",\"text\":\"\xff\"}"),
		"a lone surrogate":        shown(`{"type":"text/plain","text":"\ud800"}`),
		"no forms":                `{"displays":[{"forms":[]}]}`,
		"no forms at all":         `{"displays":[{}]}`,
		"no type":                 shown(`{"text":"a"}`),
		"no media type":           shown(`{"type":"html","text":"a"}`),
		"a type with a parameter": shown(`{"type":"text/html; charset=utf-8","text":"a"}`),
		"a type of two lines":     shown(`{"type":"text/html\nx","text":"a"}`),
		"a long type":             shown(`{"type":"text/` + strings.Repeat("x", 64) + `","text":"a"}`),
		"a type twice":            shown(form("a"), form("b")),
		"no content":              shown(`{"type":"text/plain"}`),
		"two contents":            shown(`{"type":"text/plain","text":"a","json":1}`),
		"a file and its text":     shown(`{"type":"image/png","text":"","file":"f"}`),
		"a number as text":        shown(`{"type":"text/plain","text":1}`),
		"a file that is missing":  shown(`{"type":"image/png","file":"i"}`),
		"another name of a file":  shown(`{"type":"image/png","file":"F~2"}`),
		"a path":                  shown(`{"type":"image/png","file":"../../etc/passwd"}`),
		"too many":                `{"displays":[` + repeated(65, `{"forms":[`+form("a")+`]}`) + `]}`,
		"too many forms":          shown(manyForms(17)),
		"a long text":             shown(form(strings.Repeat("x", jobs.MaxDisplayTextBytes+1))),
		"long JSON": shown(`{"type":"application/json","json":"` +
			strings.Repeat("x", jobs.MaxDisplayTextBytes) + `"}`),
		"long together": `{"displays":[` +
			repeated(5, `{"forms":[`+form(strings.Repeat("x", jobs.MaxDisplayTextBytes))+`]}`) + `]}`,
		"a long frame":         shown(form(strings.Repeat("x", maxDisplaysBytes))),
		"deep JSON":            shown(`{"type":"application/json","json":` + deep + `}`),
		"omitted, no limit":    omittedOnly(`{"display":1,"type":""}`),
		"omitted, other limit": omittedOnly(`{"display":1,"type":"","limit":"patience"}`),
		"omitted, a value":     omittedOnly(`{"display":1,"type":"","limit":{"name":"displays"}}`),
		"omitted, no number":   omittedOnly(`{"type":"","limit":"displays"}`),
		"omitted, number":      omittedOnly(`{"display":3000000000,"type":"","limit":"displays"}`),
		"omitted, negative":    omittedOnly(`{"display":1,"type":"","bytes":-1,"limit":"displays"}`),
		"omitted, type":        omittedOnly(`{"display":1,"type":"html","limit":"displays"}`),
		"omitted, a fraction":  omittedOnly(`{"display":1.5,"type":"","limit":"displays"}`),
		"omitted, too many":    omittedOnly(repeated(257, `{"display":1,"type":"","limit":"displays"}`)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readWith(payload)
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("the error is %v", err)
			}
			if got.Result != nil || got.Failure != nil || got.Displays != nil {
				t.Errorf("a refused message left something behind: %+v", got)
			}
		})
	}
}

func manyForms(n int) string {
	var forms []string
	for i := range n {
		forms = append(forms, fmt.Sprintf(`{"type":"text/x%d","text":""}`, i))
	}
	return strings.Join(forms, ",")
}

// Displays that are announced and never sent must not make the worker hold memory, and their frame has one place.
func TestReadDisplaysInTheirPlace(t *testing.T) {
	t.Parallel()
	some, end := frame('D', shown(form("a"))), frame('R', "1")
	for name, sent := range map[string][]byte{
		"announced, not sent": {'D', 0xff, 0xff, 0xff, 0xff},
		"cut short":           some[:12],
		"twice":               slices.Concat(some, some, end),
		"after the notes":     slices.Concat(frame('N', `{}`), some, end),
		"before a file":       slices.Concat(some, outputFrame("a", ""), end),
		"a file that follows": slices.Concat(frame('D', shown(`{"type":"image/png","file":"a"}`)),
			outputFrame("a", ""), end),
	} {
		if _, err := ReadReport(bytes.NewReader(sent), bounded(10)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	failed := slices.Concat(some, frame('E', `{"code":"exception","message":"x"}`))
	got, err := ReadReport(bytes.NewReader(failed), bounded(10))
	if err != nil || len(got.Displays) != 1 || got.Failure == nil {
		t.Errorf("displays before a failure: %+v, %v", got, err)
	}
}
