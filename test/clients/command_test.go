package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/client"
)

func TestRunPrintsOutputAndResult(t *testing.T) {
	got := cellblock(t, "a line\n", "run", write(t, "job.py", `import os, sys
def main(n, text, more):
    print("out")
    print("err", file=sys.stderr)
    return {"n": n, "text": [text, more], "in": sys.stdin.read(), "file": open("d/in.csv").read(),
            "mode": os.environ["MODE"]}
`), "--stdin", "-", "-a", "n=3", "-a", "text=a=b, c", "--args-json", `{"n": 1, "more": 2.0}`,
		"-f", write(t, "in.csv", "x,y")+"=d/in.csv", "-e", "MODE=a,b", "-l", "wall=5s", "-l", "memory=64",
		"--start-within", "59.5")
	want := programResult{
		stdout: "out\n{\n  \"n\": 3,\n  \"text\": [\n    \"a=b, c\",\n    2.0\n  ],\n  \"in\": \"a line\\n\",\n" +
			"  \"file\": \"x,y\",\n  \"mode\": \"a,b\"\n}\n",
		stderr: "err\n",
	}
	if got != want {
		t.Errorf("got %+v", got)
	}
}

// cli-leading-zero: a value of --arg is JSON if it parses as JSON, or else the text itself.
func TestArgsThatAreNotJSONAreStrings(t *testing.T) {
	got := cellblock(t, "def main(**k): return {n: repr(k[n]) for n in sorted(k)}",
		"run", "-", "-a", "zip=01234", "-a", "f=1e3", "-a", "t=true", "-a", `s="3"`, "-a", "x=null", "-a", "nan=NaN")
	want := "{\n  \"f\": \"1000.0\",\n  \"nan\": \"'NaN'\",\n  \"s\": \"'3'\",\n  \"t\": \"True\",\n" +
		"  \"x\": \"None\",\n  \"zip\": \"'01234'\"\n}\n"
	if got != (programResult{stdout: want}) {
		t.Errorf("got %+v", got)
	}
}

// cli-pipe-stdin: the script comes from one pipe, and its input from another.
func TestAScriptOutOfAPipe(t *testing.T) {
	shell := fmt.Sprintf(
		`printf '1\n2\n' | %q run <(printf 'import sys\ndef main(): return sum(map(int, sys.stdin))') --stdin -`,
		program)
	cmd := exec.CommandContext(testContext(t), "bash", "-c", shell)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CELLBLOCK_URL=" + service.URL, "CELLBLOCK_TOKEN=" + token}
	if got := finish(t, cmd, ""); got != (programResult{stdout: "3\n"}) {
		t.Errorf("got %+v", got)
	}
}

func TestJSONIsTheWholeJobAndNothingElse(t *testing.T) {
	for script, status := range map[string]int{
		"def main():\n    print('o')\n    return 3.0\n": 0,
		"def main():\n    print('o')\n    exit(4)\n":    1,
	} {
		got := cellblock(t, script, "run", "-", "--json")
		var job client.Job
		if err := json.Unmarshal([]byte(got.stdout), &job); err != nil || got.stderr != "" || got.status != status {
			t.Fatalf("%v: %+v", err, got)
		}
		if job.CreatedAt == "" || *job.Stdout != "o\n" || status == 0 && string(job.Result) != "3.0" ||
			status == 1 && *job.ExitCode != 4 {
			t.Errorf("the job is %s", got.stdout)
		}
	}
}

func TestExitStatuses(t *testing.T) {
	good := write(t, "good.py", "def main(): return 1")
	cases := []struct {
		status int
		stderr string
		stdin  string
		words  string
	}{
		{0, "", "", "run " + good},
		{0, "", "def main(): print('only')", "run -"},
		{1, "KeyError: 'k' (exception, job ", "def main(): raise KeyError('k')", "run -"},
		{1, "    1 | def main(:\n      |          ^\n", "def main(:", "run -"},
		{1, "(missing_main, job ", "x = 1", "run - --entry main"},
		{1, "(missing_main, job ", "x = 1", "run - -a n=1"},
		{1, "(args_mismatch, job ", "def main(): pass", "run - -a n=1"},
		{1, "(timeout, job ", "def main():\n  while True: pass", "run - -l wall=0.2"},
		{2, "no such file", "", "run /nonexistent.py"},
		{2, "standard input is not UTF-8", "def main(): return '\xff'", "run -"},
		{2, "nul is not UTF-8", "def main(): pass", "run - --stdin " + write(t, "nul", "\xff")},
		{2, "expected \"<script>\"", "", "run"},
		{2, "unknown flag --nope", "", "run - --nope"},
		{2, "can't be used together", "", "run - --watch --json"},
		{2, "only one of", "", "run - --stdin -"},
		{2, "--arg takes NAME=VALUE", "def main(): pass", "run - -a n"},
		{2, "--file takes PATH", "def main(): pass", "run - -f job:an-id"},
		{2, "--file takes PATH", "def main(): pass", "run - -f a="},
		{2, "file:ID=DEST", "def main(): pass", "run - -f file:f_x"},
		{2, "(file_not_found)", "def main(): pass", "run - -f file:f_x=a"},
		{2, "(file_not_found)", "def main(): pass", "run - -f job:an-id/a.csv"},
		{2, "(input_too_large)", strings.Repeat("x", 17<<20), "upload -"},
		{2, "no such file", "", "upload /nonexistent.csv"},
		{2, "need --entry script", "def main(): pass", "run - -- n"},
		{2, "follow its name, after --", "x = 1", "run - --entry script -a n=1"},
		{2, `--entry must be one of "main","script","cell" but got "x"`, "", "run - --entry x"},
		{2, "the limits are wall", "def main(): pass", "run - -l walls=1"},
		{2, "wall_seconds", "def main(): pass", "run - -l wall=1h"},
		{2, "(not_found)", "", "get an-id"},
		{2, "an-id: there is no such job, or it has expired (not_found)\nanother: there", "", "cancel an-id another"},
		{2, "such as http://", "", "list --url ftp://x"},
		{
			2, `--status must be one of "queued","running","succeeded","failed","cancelled" but got "done"`, "",
			"list --status done",
		},
		{2, `--priority must be one of "high","default","low" but got "x"`, "", "run - --priority x"},
		// Before a job is submitted.
		{2, "not a directory", "", "run " + good + " -o " + good + "/folder --url http://127.0.0.1:1"},
		{3, "cannot be reached", "", "run " + good + " --url http://127.0.0.1:1"},
	}
	for _, c := range cases {
		got := cellblock(t, c.stdin, strings.Fields(c.words)...)
		if got.status != c.status || !strings.Contains(got.stderr, c.stderr) || c.stderr == "" && got.stderr != "" {
			t.Errorf("%s: status %d, want %d: %s", c.words, got.status, c.status, got.stderr)
		}
	}
	refused := finish(t, command(t, []string{"CELLBLOCK_TOKEN=other-secret"}, "list"), "")
	if refused.status != 2 || !strings.Contains(refused.stderr, "(unauthorized)") ||
		strings.Contains(refused.stderr, "other-secret") {
		t.Errorf("with another token: %+v", refused)
	}
	if got := finish(t, command(t, []string{"CELLBLOCK_TOKEN=", "API_TOKEN=" + token}, "list"), ""); got.status != 0 {
		t.Errorf("with API_TOKEN: %+v", got)
	}
}

// A failure to print the result is an error.
func TestFullDiskIsReported(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, words := range []string{"run -", "run - --watch", "run - --json", "submit -", "list"} {
		var stderr strings.Builder
		cmd := command(t, nil, strings.Fields(words)...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("def main(): return 'lost'"), full, &stderr
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 2 || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%s: %v, %s", words, err, &stderr)
		}
	}
}

func TestFilesComeBackIntoTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	got := cellblock(t, `import os
def main():
    os.makedirs("outputs/a/b")
    open("outputs/a/b/c.txt", "w").write("deep")
    open("outputs/x", "w").write("flat")
`, "run", "-", "--output-dir", dir)
	if got != (programResult{}) {
		t.Errorf("got %+v", got)
	}
	for name, want := range map[string]string{"a/b/c.txt": "deep", "x": "flat"} {
		if content, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(content) != want {
			t.Errorf("%s is %q, %v", name, content, err)
		}
	}
}

// A link in the folder cannot lead a file out of it.
// A file that was uploaded goes into a job, and that job's file into the next.
func TestFilesGoOnFromTheCommandLine(t *testing.T) {
	uploaded := cellblock(t, "from a pipe", "upload", "-", "--name", "in.txt", "--json")
	var file client.StoredFile
	if err := json.Unmarshal([]byte(uploaded.stdout), &file); err != nil || file.Name != "in.txt" || file.Size != 11 {
		t.Fatalf("got %+v, %v", uploaded, err)
	}
	own := cellblock(t, "", "upload", write(t, "own.csv", "x"))
	if own.status != 0 || !strings.HasPrefix(own.stdout, "f_") || strings.Count(own.stdout, "\n") != 1 {
		t.Errorf("got %+v", own)
	}
	script := write(t, "copy.py", `def main(path):
    text = open(path).read()
    open("outputs/out.txt", "w").write(text + "!")
    return text
`)
	first := cellblock(t, "", "run", script, "-f", "file:"+file.FileID+"=d/in.txt", "-a", "path=d/in.txt", "--json")
	var job client.Job
	if err := json.Unmarshal([]byte(first.stdout), &job); err != nil || string(job.Result) != `"from a pipe"` {
		t.Fatalf("got %+v, %v", first, err)
	}
	for value, path := range map[string]string{"": "out.txt", "=in.txt": "in.txt"} {
		got := cellblock(t, "", "run", script, "-f", "job:"+job.JobID+"/out.txt"+value, "-a", "path="+path)
		if got != (programResult{stdout: "\"from a pipe!\"\n"}) {
			t.Errorf("got %+v", got)
		}
	}
}

func TestFilesStayInTheFolder(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	got := cellblock(t, "import os\ndef main():\n    os.makedirs('outputs/a')\n    open('outputs/a/b', 'w')\n",
		"run", "-", "-o", dir)
	left, err := os.ReadDir(outside)
	if got.status != 2 || err != nil || len(left) != 0 {
		t.Errorf("got %+v, and outside there is %v, %v", got, left, err)
	}
}

func TestSubmitGetAndList(t *testing.T) {
	submitted := cellblock(t,
		"import time\ndef main():\n    print('o')\n    time.sleep(0.5)\n    raise SystemExit(3)\n", "submit", "-",
		"--priority", "low")
	id := strings.TrimSpace(submitted.stdout)
	if got := cellblock(t, "", "get", id); got.status != 0 || got.stdout != "queued\n" && got.stdout != "running\n" {
		t.Errorf("at first: %+v", got)
	}
	got := cellblock(t, "", "get", id, "--wait", "20s")
	if got.status != 0 || got.stdout != "o\n" || !strings.Contains(got.stderr, "(exit, job "+id) {
		t.Errorf("at last: %+v", got)
	}
	if got := cellblock(t, "", "get", id, "--exit-status"); got.status != 1 {
		t.Errorf("with its status: %+v", got)
	}
	if got := cellblock(t, "", "cancel", id); got.status != 2 || !strings.Contains(got.stderr, "(already_finished") {
		t.Errorf("cancelled: %+v", got)
	}
	if got := cellblock(t, "", "list", "--status", "failed", "--limit", "1"); !strings.HasPrefix(got.stdout, "JOB ") ||
		!strings.Contains(got.stdout, id+"  failed ") {
		t.Errorf("listed: %+v", got)
	}
	got = cellblock(t, "", "list", "--limit", "2", "--json")
	var newest client.JobSummary
	first, rest, _ := strings.Cut(got.stdout, "\n")
	if err := json.Unmarshal([]byte(first), &newest); err != nil || newest.JobID != id ||
		strings.Count(rest, "\n") != 1 {
		t.Errorf("listed as JSON: %v, %+v", err, got)
	}
}

// The usage of a job is counted some moments after its end.
func TestUsageOfTheCommand(t *testing.T) {
	t.Parallel()
	if got := cellblock(t, "def main():\n    return 1\n", "run", "-"); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		got := cellblock(t, "", "usage", "--json")
		var report client.UsageReport
		if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || got.status != 0 {
			t.Fatalf("%v, %+v", err, got)
		}
		if report.Totals.Jobs["ok"] > 0 && report.Totals.WallSeconds > 0 && report.Totals.BytesIn > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not counted: %s", got.stdout)
		}
	}
	got := cellblock(t, "", "usage", "--tenant", "operator")
	if lines := strings.Split(got.stdout, "\n"); got.status != 0 || !strings.HasPrefix(lines[0], "TENANT ") ||
		!strings.HasPrefix(lines[1], "operator ") || !strings.HasPrefix(lines[len(lines)-2], "total ") {
		t.Errorf("%+v", got)
	}
	got = cellblock(t, "", "usage", "--by-label")
	if header, _, _ := strings.Cut(got.stdout, "\n"); got.status != 0 ||
		!slices.Equal(strings.Fields(header)[:3], []string{"TENANT", "DAY", "LABEL"}) {
		t.Errorf("%+v", got)
	}
	got = cellblock(t, "", "usage", "--from", "yesterday")
	if got.status != 2 || !strings.Contains(got.stderr, "--from") {
		t.Errorf("a wrong date: %+v", got)
	}
}

func TestActivityOfTheCommand(t *testing.T) {
	t.Parallel()
	if got := cellblock(t, "def main():\n    return 1\n", "run", "-"); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		got := cellblock(t, "", "activity", "--json")
		var activity client.Activity
		if err := json.Unmarshal([]byte(got.stdout), &activity); err != nil || got.status != 0 {
			t.Fatalf("%v, %+v", err, got)
		}
		if activity.Totals["ok"] > 0 && len(activity.Minutes) == 60 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not counted: %s", got.stdout)
		}
	}
	got := cellblock(t, "", "activity", "--tenant", "operator")
	lines := strings.Split(got.stdout, "\n")
	if got.status != 0 || !slices.Equal(strings.Fields(lines[0]), []string{"QUEUED", "OLDEST", "RUNNING"}) ||
		!slices.Equal(strings.Fields(lines[3]), []string{"MINUTE", "OK", "OTHERS"}) ||
		!strings.HasPrefix(lines[len(lines)-2], "total ") {
		t.Errorf("%+v", got)
	}
	got = cellblock(t, "", "activity", "--tenant", "A")
	if got.status != 2 || !strings.Contains(got.stderr, "tenant") {
		t.Errorf("a wrong name: %+v", got)
	}
}

func TestWorkersOfTheCommand(t *testing.T) {
	t.Parallel()
	got := cellblock(t, "", "workers", "--json")
	var worker client.Worker
	line, _, _ := strings.Cut(got.stdout, "\n")
	if err := json.Unmarshal([]byte(line), &worker); err != nil || got.status != 0 || worker.Places == nil ||
		worker.Version == nil || worker.StartedAt == nil || len(worker.Environments) == 0 ||
		worker.Environments[0].Ready == nil {
		t.Fatalf("%v, %+v", err, got)
	}
	got = cellblock(t, "", "workers")
	lines := strings.Split(got.stdout, "\n")
	if got.status != 0 || !strings.HasPrefix(lines[0], "HOST ") || !strings.Contains(lines[1], "default ") ||
		!strings.HasSuffix(lines[1], worker.WorkerID) || !strings.HasPrefix(lines[1], worker.Host+" ") {
		t.Errorf("%+v", got)
	}
}

func TestLabelsOfTheCommandLine(t *testing.T) {
	label := "example.com/test=" + t.Name()
	ran := cellblock(t, "def main(): return 1", "run", "-", "--label", label, "--label", "n=1", "--json")
	var job client.Job
	if err := json.Unmarshal([]byte(ran.stdout), &job); err != nil || job.Labels["n"] != "1" || len(job.Labels) != 2 {
		t.Fatalf("ran: %v, %+v", err, ran)
	}
	lines := `{"script":"def main(): exit(3)"}` + "\n" + `{"script":"def main(): pass","labels":{"n":"2"}}` + "\n"
	if got := cellblock(t, lines, "batch", "-", "--label", label); got.status != 1 {
		t.Fatalf("batch: %+v", got)
	}
	list := func(flags ...string) []client.JobSummary {
		got := cellblock(t, "", append([]string{"list", "--json", "--label", label}, flags...)...)
		var listed []client.JobSummary
		for line := range strings.Lines(got.stdout) {
			var job client.JobSummary
			if err := json.Unmarshal([]byte(line), &job); err != nil {
				t.Fatal(err, got)
			}
			listed = append(listed, job)
		}
		return listed
	}
	if all := list("--since", "1h"); len(all) != 2 || all[1].JobID != job.JobID {
		t.Errorf("with the label: %+v", all)
	}
	exited := list("--code", "exit", "--environment", "default")
	if len(exited) != 1 || exited[0].Code != client.CodeExit {
		t.Errorf("with a code: %+v", exited)
	}
	if one := list("--label", "n=1"); len(one) != 1 || one[0].JobID != job.JobID {
		t.Errorf("with two labels: %+v", one)
	}
	if none := list("--until", "30m"); none != nil {
		t.Errorf("before: %+v", none)
	}
	for _, flags := range [][]string{
		{"--since", "yesterday"}, {"--label", "n"}, {"--code", "ok"}, {"--label", "a b=c"},
	} {
		if got := cellblock(t, "", append([]string{"list"}, flags...)...); got.status != 2 || got.stderr == "" {
			t.Errorf("%q: %+v", flags, got)
		}
	}
}

// bash itself reports the completions of the printed script.
func TestCompletionInBash(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "job.py"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "jolly folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"ru":                       "run",
		"c":                        "cancel completion",
		"run --out":                "--output-dir",
		"run job":                  "job.py",
		"run x.py --priority h":    "high",
		"run x.py --entry s":       "script",
		"batch x --entry c":        "cell",
		"run x.py -- -x jol":       "jolly folder",
		"list --status = fa":       "failed",
		"batch ca":                 "cancel",
		"get some-id --exit":       "--exit-status",
		"completion z":             "zsh",
		"run x.py --output-dir jo": "jolly folder",
		"run jolly":                "jolly folder",
	} {
		words := strings.Fields(line)
		script := fmt.Sprintf(`source <(%[1]q completion bash)
COMP_WORDS=(%[1]q %[2]s) COMP_CWORD=%[3]d
_cellblock
echo "${COMPREPLY[*]}"`, program, line, len(words))
		cmd := exec.CommandContext(testContext(t), "bash", "--norc", "-c", script)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q becomes %q, want %q (%v)", line, got, want, err)
		}
	}
}
