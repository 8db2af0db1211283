package clients

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"cellblock/client"
)

// A file without main() is run as a script, and the command line prints that.
func TestRunPlainScripts(t *testing.T) {
	script := write(t, "job.py", "import sys\nprint(sys.argv, __name__)\nprint(sys.stdin.read(), file=sys.stderr)\n"+
		"sys.exit(int(sys.argv[1]))\n")
	chosen := "cellblock: no main() in " + script + ": running it as a script (--entry script)\n"
	got := cellblock(t, "in", "run", script, "--stdin", "-", "--", "0", "--json")
	if want := (programResult{
		stdout: "['script.py', '0', '--json'] __main__\n", stderr: chosen + "in\n",
	}); got != want {
		t.Errorf("got %+v", got)
	}
	for status, words := range map[int][]string{
		1: {"run", script, "--entry", "script"}, 3: {"run", script, "--exit-code"},
	} {
		got := cellblock(t, "", append(words, "--", "3")...)
		said := strings.HasPrefix(got.stderr, chosen)
		if got.status != status || said != (status == 3) || !strings.Contains(got.stderr, "(exit, job ") {
			t.Errorf("%v: %+v", words, got)
		}
	}
	got = cellblock(t, "1 / 0", "run", "-", "--exit-code")
	if got.status != 1 || !strings.Contains(got.stderr, "no main() in standard input") ||
		!strings.Contains(got.stderr, "ZeroDivisionError") {
		t.Errorf("an exception: %+v", got)
	}
}

// What a cell shows is printed as text, in place of its result.
func TestRunCells(t *testing.T) {
	dir := t.TempDir()
	got := cellblock(t, `import pandas as pd
print("printed")
display("shown")
pd.DataFrame({"a": [1, 2]})`, "run", "-", "--entry", "cell", "-o", dir)
	if want := (programResult{stdout: "printed\n'shown'\n   a\n0  1\n1  2\n"}); got != want {
		t.Errorf("got %+v", got)
	}
	if got := cellblock(t, "a = {'n': 3}\na;", "run", "-", "--entry", "cell"); got != (programResult{}) {
		t.Errorf("a value that is hidden: %+v", got)
	}
	got = cellblock(t, "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.gcf()", "run", "-", "--entry", "cell",
		"-o", dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.png"))
	if err != nil || len(files) != 1 || got.status != 0 || !strings.Contains(got.stdout, "Figure size") {
		t.Errorf("a figure: %+v, %v, %v", got, files, err)
	}
}

func TestSubmitAndBatchWithEntries(t *testing.T) {
	got := cellblock(t, "print(1)", "submit", "-")
	if got.status != 0 || !strings.Contains(got.stderr, "no main()") {
		t.Fatalf("submitted: %+v", got)
	}
	if got := cellblock(t, "", "get", strings.TrimSpace(got.stdout), "--wait", "20s"); got.stdout != "1\n" {
		t.Errorf("read: %+v", got)
	}
	file := write(t, "jobs.ndjson", `{"script": "print(1)"}`+"\n"+`{"script": "1 + 1", "entry": "cell"}`+"\n")
	got = cellblock(t, "", "batch", file, "--entry", "script")
	exits, results := 0, 0
	for line := range strings.Lines(got.stdout) {
		var result client.BatchResult
		if err := json.Unmarshal([]byte(line), &result); err != nil || result.Job == nil {
			t.Fatalf("%s: %v", line, err)
		}
		if result.Job.ExitCode != nil && *result.Job.Stdout == "1\n" {
			exits++
		}
		if string(result.Job.Result) == "2" && len(result.Job.Displays) == 1 {
			results++
		}
	}
	if got.status != 0 || exits != 1 || results != 1 {
		t.Errorf("a batch: %+v", got)
	}
}

// The client in Go sends entries as JSON and as a form.
func TestEntriesOfTheClient(t *testing.T) {
	c, err := client.New(service.URL, client.WithToken(token))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, size := range []int{1, 1 << 20} {
		job, err := c.Run(testContext(t), client.Request{
			Script: "import os, sys\nprint(sys.argv[1:], os.path.getsize('f'))", Entry: client.EntryScript,
			Args: []string{"a", "é"}, Files: []client.File{{Path: "f", Content: make([]byte, size)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if *job.ExitCode != 0 || !strings.HasPrefix(*job.Stdout, "['a', 'é'] ") || job.Entry != client.EntryScript {
			t.Errorf("%d bytes: %+v", size, job)
		}
	}
	job, err := c.Run(testContext(t), client.Request{Script: "{'a': 1}", Entry: client.EntryCell})
	if err != nil || string(job.Result) != `{"a":1}` || *job.Displays[0].Forms[0].Text != "{'a': 1}" {
		t.Errorf("a cell: %+v, %v", job, err)
	}
}
