package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"cellblock/client"
)

func TestMayDefineMain(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]bool{
		"def main(): pass":                             true,
		"\ufeffdef main(): pass":                       true,
		"x = 1\r\ndef  main ( ):\r\n    pass":          true,
		"async def main(): pass":                       true,
		"def \\\n    main(): pass":                     true,
		"class main: pass":                             true,
		"class main(Base): pass":                       true,
		"main = lambda: 1":                             true,
		"main: object = f":                             true,
		"run = main = f":                               true,
		"main, other = f, g":                           true,
		"other, main = f, g":                           true,
		"(main := f)":                                  true,
		"import main":                                  true,
		"import a, main":                               true,
		"import app as main":                           true,
		"from app import main":                         true,
		"from app import (\n    run,\n    main,\n)":    true,
		"from app import *":                            true,
		"for main in fs: pass":                         true,
		"with f() as main: pass":                       true,
		"if True:\n    def main(): pass":               true,
		"if True:\n\tdef main(): pass":                 true,
		"try:\n    from a import main\nexcept E: pass": true,
		"def f():\n    global x, main\n    main = 1":   true,
		"def f(): pass\nif x: main = f":                true,
		"f'{x['a']}'\nmain = 1":                        true,
		"match x:\n    case main: pass":                true,
		// In doubt.
		"s = 'not ended\nprint(1)":      true,
		"s = '''\nnot ended":            true,
		"f(main=1)":                     true,
		"print(main)":                   true,
		"":                              false,
		"print(1)":                      false,
		"main()":                        false,
		"app.main()":                    false,
		"main.run()":                    false,
		"# def main():\nprint(1)":       false,
		"print('def main():')":          false,
		"\"\"\"\ndef main():\n\"\"\"":   false,
		"'''it's main = 1'''\nprint(1)": false,
		`r"\"` + "\n" + `main = "`:      true, // not Python
		`s = "\"main = 1"`:              false,
		"def run(): pass\nif __name__ == '__main__':\n    run()": false,
		"def domain(): pass\nremain = 1\nmain_loop = 2\n":        false,
		"class A:\n    def main(self): pass\nA().main()":         false,
		"class A:\n    if x:\n        main = 1\n":                false,
		"def run():\n    main = 1\n    return main\n":            false,
		"def run():\n    async def main(): pass\nrun()":          false,
		"def run():\n    pass\n\n    # x\n    def main(): pass":  false,
		"if x:\n    class A:\n        def main(self): pass\n":    false,
		"if x:\n    class A:\n        pass\n    main = A":        true,
	} {
		if got := mayDefineMain(script); got != want {
			t.Errorf("%q: %v, want %v", script, got, want)
		}
	}
}

// A script with main() that was run as a program would end without having called it. The scripts of the conformance
// suite bind main in every way there is.
func TestMainIsNeverMissed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../test/conformance/cases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases are there: ", err)
	}
	checked := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []struct {
			Name, Script, Code, Entry string
			Request                   struct{ Entry string }
		}
		if err := yaml.Load(content, &cases); err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			withoutMain := c.Entry+c.Request.Entry != "" || c.Code == "missing_main" || c.Code == "syntax_error"
			if checked++; !withoutMain && !mayDefineMain(c.Script) {
				t.Errorf("%s, %s: its main() is not found\n%s", filepath.Base(file), c.Name, c.Script)
			}
		}
	}
	if checked < 300 {
		t.Errorf("%d cases were checked", checked)
	}
}

func TestChooseEntry(t *testing.T) {
	t.Parallel()
	const withMain, plain = "def main(): pass", "print(1)"
	script, cell := client.EntryScript, client.EntryCell
	for name, test := range map[string]struct {
		flags  entryFlags
		script string
		named  bool
		want   string
		err    string
	}{
		"main":                     {script: withMain, want: "main"},
		"plain":                    {script: plain, want: "script"},
		"plain, arguments":         {flags: entryFlags{Argv: []string{"a"}}, script: plain, want: "script"},
		"plain, arguments of main": {script: plain, named: true, want: "main"},
		"chosen": {
			flags: entryFlags{Entry: &script, Argv: []string{"a"}}, script: withMain, want: "script",
		},
		"cell":               {flags: entryFlags{Entry: &cell}, script: plain, want: "cell"},
		"main with a list":   {flags: entryFlags{Argv: []string{"a"}}, script: withMain, err: "--entry script"},
		"cell with a list":   {flags: entryFlags{Entry: &cell, Argv: []string{"a"}}, err: "--entry script"},
		"script with main's": {flags: entryFlags{Entry: &script}, named: true, err: "after --"},
		"both kinds of arguments": {
			flags: entryFlags{Argv: []string{"a"}}, script: plain, named: true, err: "--entry script",
		},
	} {
		got, err := test.flags.choose(test.script, "-", test.named)
		if got != test.want || (err == nil) != (test.err == "") ||
			err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestWithField(t *testing.T) {
	t.Parallel()
	lines := "\ufeff{\"script\":\"x\"}\n\n {\"script\":\"y\",\"entry\":\"cell\"}\nnot JSON\n{}\n[1]\n{\"a\":1}"
	got := string(withField([]byte(lines), "entry", "script"))
	want := "{\"entry\":\"script\",\"script\":\"x\"}\n\n {\"script\":\"y\",\"entry\":\"cell\"}\nnot JSON\n{}\n[1]\n" +
		"{\"entry\":\"script\",\"a\":1}"
	if got != want {
		t.Errorf("got %q", got)
	}
}

func TestDisplayText(t *testing.T) {
	t.Parallel()
	html, plain := "<b>", "text"
	for want, forms := range map[string][]client.DisplayForm{
		"text":               {{Type: "text/html", Text: &html}, {Type: "text/plain", Text: &plain}},
		"<b>":                {{Type: "image/png", File: "a.png"}, {Type: "text/html", Text: &html}},
		"{\n  \"a\": 1\n}":   {{Type: "application/json", JSON: []byte(`{"a":1}`)}},
		"<image/png: a.png>": {{Type: "image/png", File: "a.png"}},
	} {
		if got := displayText(client.Display{Forms: forms}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
