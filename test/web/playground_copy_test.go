package web

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

// python is the interpreter with the Python client's packages: scripts/setup --client makes it.
const python = "../../.cache/client/bin/python"

// reports prints a line with all that a run receives.
const reports = `
import glob, hashlib, json, os, sys
# 'quotes' "quotes" """ ''' \ \n \" ` + "`" + `backticks` + "`" + ` $HOME $(id) %s !x
# 東京 😀 é, and the markers of here-documents:
"""
PY
PY_
JSON
END
"""
def report(args):
    def digest(name):
        with open(name, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    files = sorted(name for name in glob.glob("**", recursive=True) if os.path.isfile(name))
    env = {name: os.environ.get(name) for name in ("MODE", "OTHER", "EMPTY")}
    stdin = sys.stdin.read()
    if len(stdin) > 1000:  # the page shows the beginning of a long line
        stdin = hashlib.sha256(stdin.encode()).hexdigest()
    print("REPORT", json.dumps([args, stdin, env, {name: digest(name) for name in files}], sort_keys=True))
`

// copied is a run of the page, whose copied forms must do the same.
type copied struct {
	name   string
	script string
	// fields are the ids of options with what is typed into them.
	entry  string
	fields map[string]string
	files  map[string]string
	token  string
	// unfit are the kinds that cannot express the run.
	unfit string
}

func copiedRuns() []copied {
	large := strings.Repeat("0123456789abcdef\x00\xff\r\n", 1<<12)
	return []copied{
		{
			name: "main", script: reports + "\ndef main(**args):\n    report(args)\n", entry: "main",
			fields: map[string]string{
				"option-args": `{"n": 12345678901234567890123, "f": -1.5e3, "s": "it's \"q\" \\ \u202e é 😀", ` +
					"\n" + `"list": [true, false, null, {}]}`,
				"option-stdin":        "no line end: 'x' \"y\" \\ $HOME `id`\nJSON\nEND\nlast",
				"option-env":          "MODE=a 'b' \"c\" $d \\ é\nEMPTY=",
				"option-labels":       "example.com/run=copied\nempty=",
				"option-wall_seconds": "9.5", "option-memory_mb": "128", "option-output_bytes": "100000",
				"option-processes": "20", "option-cpu_seconds": "3",
			},
			files: map[string]string{"it's \"x\" $y.txt": "text é\nPY\n", "b.bin": "\x00\x01\xff\r\n"},
		},
		{
			name: "script without a line end", script: reports + "\nreport(sys.argv[1:])", entry: "script",
			fields: map[string]string{
				"option-argv":  `["--flag=1", "", "two words", "it's \"q\" \\", "-x", "line\nline", "\u001b[0m"]`,
				"option-stdin": "END\nBASE64\n",
			},
		},
		{
			name: "cell", script: reports + "\nreport('a cell')\n", entry: "cell",
			fields: map[string]string{"option-stdin": "\ttab\r\n\u202e\n"},
		},
		{
			name: "large files", script: reports + "\ndef main():\n    report(None)\n", entry: "main",
			fields: map[string]string{
				// More than an argument of a program may have. Few lines, since a field with many is slow to lay out.
				"option-stdin": strings.Repeat(strings.Repeat("0123456789 'x' ", 200)+"\n", 60), "option-env": "MODE=f",
			},
			files: map[string]string{"large é.bin": large, "semi;colon,\"quote\".txt": "x"},
		},
		{
			name: "an equals sign in a name", script: reports + "\ndef main():\n    report(None)\n", entry: "main",
			files: map[string]string{"a=b.txt": "x"}, unfit: "cli",
		},
		{
			name: "token", script: reports + "\ndef main(n):\n    report(n)\n", entry: "main",
			fields: map[string]string{"option-args": `{"n": 1}`}, token: operatorsToken,
		},
	}
}

func TestPlaygroundCopiesRunTheSame(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(python); errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the Python client's packages are missing; run scripts/setup --client")
	}
	commandLine, err := stack.BuildCommandLine(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range copiedRuns() {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			p := each.show(t, folder)
			p.run("Succeeded")
			want := reportIn(t, eval[string](p, `document.querySelector(".output").innerText`))
			p.clickButton("Copy as")
			for _, kind := range []string{"curl", "python", "go", "cli"} {
				p.choose("[name=kind][value="+kind+"]", "")
				p.await(`document.querySelector("[name=kind]:checked").value === ` + quote(kind))
				text := eval[string](p, `document.querySelector("#panel .code pre").textContent`)
				if strings.Contains(text, operatorsToken) {
					t.Fatalf("the text for %s has the token", kind)
				}
				if kind == each.unfit {
					if !strings.HasPrefix(text, "# --file cannot") {
						t.Errorf("the text for %s does not say that it does not work:\n%s", kind, text)
					}
					continue
				}
				output := runCopied(t, kind, text, folder, commandLine, each.token)
				if got := reportIn(t, output); got != want {
					t.Errorf("%s reports\n%s\nthe page\n%s\nit is\n%.2000s", kind, got, want, text)
				}
			}
			each.checkLabels(p)
		})
	}
}

// show opens a page and puts the run into it.
func (c copied) show(t *testing.T, folder string) *tab {
	t.Helper()
	origin := open.URL
	if c.token != "" {
		origin = closed.URL
	}
	p := visit(t, origin, "/", lightView)
	p.expect("status of 401")
	p.awaitEditor()
	if c.token != "" {
		p.await(`document.getElementById("token")`)
		p.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("token").focus()`), typed(c.token))
		p.press(kb.Enter)
		p.await(`!document.getElementById("token")`)
	}
	p.write(c.script)
	p.clickButton("Options")
	p.choose("[name=entry][value="+c.entry+"]", "")
	for id, text := range c.fields {
		p.fill(id, text)
	}
	for name, content := range c.files {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p.do(chromedp.SetUploadFiles(chromedp.CSS("#files"), []string{path}))
		p.awaitText(".chips", name)
	}
	return p
}

// checkLabels fails unless each way to run it has sent the labels.
func (c copied) checkLabels(p *tab) {
	if !strings.Contains(c.fields["option-labels"], "copied") {
		return
	}
	found := eval[int](p, `fetch("/jobs?label=example.com/run:copied&label=empty:")
		.then(response => response.json()).then(list => list.jobs.length)`)
	if found != 5 {
		p.t.Errorf("%d jobs have the labels, want 5", found)
	}
}

// reportIn returns the line that the script printed.
func reportIn(t *testing.T, output string) string {
	t.Helper()
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "REPORT ") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("there is no report in %.2000s", output)
	return ""
}

// runCopied runs a copied text in a folder and returns what it printed. It inherits no token but the one given.
func runCopied(t *testing.T, kind, text, folder, commandLine, token string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), map[string]string{"python": "run.py", "go": "main.go"}[kind]+".sh")
	var command *exec.Cmd
	switch kind {
	case "python":
		command = exec.CommandContext(t.Context(), filepath.Join(root, python[len("../../"):]), file)
	case "go":
		file = strings.TrimSuffix(file, ".sh")
		program := filepath.Join(t.TempDir(), "program")
		command = exec.CommandContext(t.Context(), "bash", "-c",
			`(cd "$1" && go build -o "$2" "$3") && "$2"`, "bash", root, program, file)
	default:
		command = exec.CommandContext(t.Context(), "bash", file)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command.Dir = folder
	command.Env = append(os.Environ(), "CELLBLOCK_TOKEN="+token, "API_TOKEN=", "CELLBLOCK_URL=",
		"PYTHONPATH="+filepath.Join(root, "clients/python/src"),
		"PATH="+filepath.Dir(commandLine)+":"+os.Getenv("PATH"))
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\nit is\n%.2000s", kind, err, stderrOf(err), text)
	}
	if kind != "curl" {
		return string(output)
	}
	var job struct {
		Stdout string `json:"stdout"`
	}
	if err := json.Unmarshal(output, &job); err != nil {
		t.Fatalf("curl returned %.2000s", output)
	}
	return job.Stdout
}

func stderrOf(err error) []byte {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.Stderr
	}
	return nil
}

func TestPlaygroundCopyButton(t *testing.T) {
	t.Parallel()
	p := openPlayground(t, open.URL, lightView)
	p.clickButton("Copy as")
	p.do(chromedp.Click(chromedp.CSS("#panel .primary")))
	p.awaitText("#panel [role=status]", "Copied")
	// Without navigator.clipboard, as on a page without TLS, there is another way.
	p.do(chromedp.Evaluate[chromedp.Void](`Object.defineProperty(navigator, "clipboard", {value: undefined})`))
	p.clickButton("Share")
	p.do(chromedp.Click(chromedp.CSS("#panel .primary")))
	p.awaitText("#panel .link [role=status]", "Copied")
}
