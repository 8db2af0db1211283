package jobs

import (
	"strings"
	"testing"
)

func TestDecodeEntry(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body  string
		entry Entry
		args  string
	}{
		"none":         {`{"script":"x"}`, EntryMain, ""},
		"main":         {`{"script":"x","entry":"main","args":{"n":1}}`, EntryMain, `{"n":1}`},
		"script":       {`{"script":"x","entry":"script"}`, EntryScript, ""},
		"arguments":    {`{"args":["a","","é"],"script":"x","entry":"script"}`, EntryScript, `["a","","é"]`},
		"entry first":  {`{"entry":"script","args":["-n","1"],"script":"x"}`, EntryScript, `["-n","1"]`},
		"no arguments": {`{"script":"x","entry":"script","args":[]}`, EntryScript, `[]`},
		"cell":         {`{"script":"x","entry":"cell","stdin":"y"}`, EntryCell, ""},
		"escaped":      {`{"script":"x","entry":"\u0063ell"}`, EntryCell, ""},
		"most arguments": {
			`{"script":"x","entry":"script","args":[` + argv(1000) + `]}`, EntryScript, `[` + argv(1000) + `]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := DecodeRequest([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			args := ""
			if request.Inputs != nil {
				args = string(request.Inputs.Args)
			}
			if request.Entry != test.entry || args != test.args {
				t.Errorf("entry %q with the arguments %.200s", request.Entry, args)
			}
		})
	}
}

// argv returns n strings of a JSON array.
func argv(n int) string { return strings.TrimSuffix(strings.Repeat(`"a",`, n), ",") }

func TestDecodeEntryRefuses(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"entry":"notebook"}`: `"entry" must be "main", "script" or "cell"`,
		`{"entry":""}`:         `"entry" must be "main", "script" or "cell"`,
		`{"entry":null}`:       `"entry" must be "main", "script" or "cell"`,
		`{"entry":["main"]}`:   `"entry" must be "main", "script" or "cell"`,
		`{"entry":"Script"}`:   `"entry" must be "main", "script" or "cell"`,
		`{"args":["a"]}`: `"args" must be an object of main()'s keyword arguments, not an array; an array of strings ` +
			`(sys.argv[1:]) needs "entry": "script"`,
		`{"args":["a"],"entry":"main"}`: `needs "entry": "script"`,
		`{"args":{},"entry":"script"}`:  `"args" must be an array of strings with "entry": "script"`,
		`{"args":{},"entry":"cell"}`:    `"args" cannot be used with "entry": "cell"; set variables in the cell itself`,
		`{"args":[],"entry":"cell"}`:    `"args" cannot be used with "entry": "cell"`,
		`{"args":["a",1],"entry":"script"}`: `"args" must be an array of strings with "entry": "script"; ` +
			`item 1 is a number`,
		`{"args":[["a"]],"entry":"script"}`:                                       `item 0 is an array`,
		`{"args":["a\u0000"],"entry":"script"}`:                                   `contains a NUL character in item 0`,
		`{"args":["\ud800"],"entry":"script"}`:                                    `a lone surrogate`,
		`{"args":[` + argv(1001) + `],"entry":"script"}`:                          `"args" has more than 1000 strings`,
		`{"args":["` + strings.Repeat("x", MaxArgsBytes) + `"],"entry":"script"}`: `"args" has 1048580 bytes`,
		`{"args":"a","entry":"script"}`:                                           `not a string`,
	} {
		_, err := DecodeRequest([]byte(`{"script":"x",` + body[1:]))
		if err == nil || !strings.Contains(AsError(err).Message, want) {
			t.Errorf("%.100s: got %.300v, want %s", body, err, want)
		}
	}
}

func TestDecodeEntryInForms(t *testing.T) {
	t.Parallel()
	script := FormPart{Name: "script", Content: []byte("x")}
	request, err := DecodeForm([]FormPart{
		script, {Name: "args", Content: []byte(`[ "a" ]`)}, {Name: "entry", Content: []byte("script")},
	})
	if err != nil || request.Entry != EntryScript || string(request.Inputs.Args) != `["a"]` {
		t.Errorf("%+v, %v", request, err)
	}
	if _, err := DecodeForm([]FormPart{script, {Name: "entry", Content: []byte(`"script"`)}}); err == nil {
		t.Error("JSON was taken in a part that is text")
	}
	_, err = DecodeForm([]FormPart{script, {Name: "args", Content: []byte(`["a"]`)}})
	if CodeOf(err) != CodeInvalidRequest {
		t.Errorf("a list for main(): %v", err)
	}
}

func TestDecodeEntryInBatches(t *testing.T) {
	t.Parallel()
	items, err := DecodeBatch([]byte(`{"script":"x","entry":"script","args":["a"]}` + "\n" +
		`{"script":"x","entry":"cell","args":{}}` + "\n" + `{"script":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	if items[0].Err != nil || items[0].Request.Entry != EntryScript || items[1].Err == nil ||
		items[2].Err != nil || items[2].Request.Entry != EntryMain {
		t.Errorf("%+v", items)
	}
}

func TestFingerprintOfEntries(t *testing.T) {
	t.Parallel()
	if fingerprintOf(t, `{"script":"x"}`) != fingerprintOf(t, `{"script":"x","entry":"main"}`) {
		t.Error("the default differs from what is not there")
	}
	if fingerprintOf(t, `{"script":"x","entry":"script"}`) !=
		fingerprintOf(t, `{"script":"x","entry":"script","args":[]}`) {
		t.Error("no arguments differ from an empty list")
	}
	if fingerprintOf(t, `{"script":"x","entry":"script","args":["a", "b"]}`) ==
		fingerprintOf(t, `{"script":"x","entry":"script","args":["b","a"]}`) {
		t.Error("the order of arguments is ignored")
	}
	if fingerprintOf(t, `{"script":"x","entry":"script"}`) == fingerprintOf(t, `{"script":"x","entry":"cell"}`) {
		t.Error("two entries are alike")
	}
}
