package operations

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cellblock"
	"cellblock/client"
	"cellblock/test/stack"
)

const (
	manual = "../../docs/operations.md"
	token  = "the-operators-old-token"
	// bound is longer than any step takes, even on a busy machine.
	bound = time.Minute
	// slots is how many jobs a worker runs at once.
	slots = 2
)

// programs are those under test, and commandLine is the path of the command line's.
var (
	programs    stack.Programs
	commandLine string
)

func TestMain(m *testing.M) { stack.Main(m, "operations", run) }

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "cellblock-operations-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	given := os.Getenv("OPERATIONS_PROGRAMS")
	if programs, err = stack.FindOrBuild(ctx, given, dir); err != nil {
		return 1, err
	}
	commandLine = filepath.Join(given, "cellblock")
	if given == "" {
		if commandLine, err = stack.BuildCommandLine(ctx, dir); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

// runs is a file to which each job appends a line when it runs.
type runs struct{ path string }

// newRuns returns the file, and the settings of a worker whose sandboxes have it as /runs.
func newRuns(t *testing.T) (runs, stack.Env) {
	t.Helper()
	dir := t.TempDir()
	r := runs{filepath.Join(dir, "runs")}
	for parent := dir; parent != os.TempDir(); parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil { // the sandbox's user must be able to reach it
			t.Fatal(err)
		}
	}
	text := cellblock.NsjailConfig + "\nmount { src: \"" + r.path + "\" dst: \"/runs\" is_bind: true rw: true }\n"
	config := filepath.Join(dir, "nsjail.cfg")
	for path, content := range map[string]string{r.path: "", config: text} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(r.path, 0o666); err != nil {
		t.Fatal(err)
	}
	return r, stack.Env{
		"NSJAIL_CONFIG": config, "PRELOAD": "", "PRELOAD_ON_DEMAND": "", "WORKER_CONCURRENCY": strconv.Itoa(slots),
	}
}

// script returns a job that notes its number, waits if it is to until letGo is called, leaves a file, and returns the
// number.
func script(number int, waits bool) string {
	wait := "False"
	if waits {
		wait = "True"
	}
	return fmt.Sprintf(`import os, time
def main():
    log = os.open("/runs", os.O_WRONLY | os.O_APPEND)
    os.write(log, b"%d\n")
    while %s and "go" not in open("/runs").read():
        time.sleep(0.02)
    open("outputs/number.txt", "w").write("%[1]d")
    return %[1]d`, number, wait)
}

// letGo ends the waits of jobs.
func (r runs) letGo(t *testing.T) {
	t.Helper()
	file, err := os.OpenFile(r.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("go\n"); err != nil {
		t.Fatal(err)
	}
}

// counts returns how often each number ran.
func (r runs) counts(t *testing.T) map[string]int {
	t.Helper()
	content, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for number := range strings.FieldsSeq(string(content)) {
		if number != "go" {
			counts[number]++
		}
	}
	return counts
}

// noneTwice reports numbers that ran more than once.
func (r runs) noneTwice(t *testing.T) {
	t.Helper()
	for number, count := range r.counts(t) {
		if count > 1 {
			t.Errorf("the job %s ran %d times", number, count)
		}
	}
}

// open returns a client of a service with a token.
func open(t *testing.T, url, token string) *client.Client {
	t.Helper()
	c, err := client.New(url, client.WithToken(token))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// await calls check until it returns true.
func await(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(stack.Scaled(bound)); !check(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, bound)
		}
	}
}

// shell runs commands of a document. Programs of systemd, and owners of files, are not those of this machine.
func shell(t *testing.T, commands string, env ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stack.Scaled(bound))
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c",
		"systemctl() { :; }; chown() { :; }; cellblock() { \"$COMMAND_LINE\" \"$@\"; }; "+
			"export -f cellblock; xargs() { command xargs \"$1\" \"$COMMAND_LINE\" \"${@:3}\"; }\n"+commands)
	command.Env = append(os.Environ(), append(env, "COMMAND_LINE="+commandLine)...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, commands, out)
	}
	return string(out)
}
