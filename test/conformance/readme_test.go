package conformance

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// commandsOf gives the shell commands of a section of the README.
func commandsOf(t *testing.T, section string) string {
	t.Helper()
	content, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(content), "\n## "+section+"\n")
	if !found {
		t.Fatalf("the README has no section %q", section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	_, text, _ = strings.Cut(text, "```sh\n")
	commands, _, found := strings.Cut(text, "```")
	if !found {
		t.Fatalf("the section %q has no commands", section)
	}
	return commands
}

// runShown runs them as they are, but for the address, and gives what they print.
func runShown(t *testing.T, section string) string {
	t.Helper()
	dir := t.TempDir()
	examples, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(examples+"/../../examples", dir+"/examples"); err != nil {
		t.Fatal(err)
	}
	commands := strings.ReplaceAll(commandsOf(t, section), "localhost:8080", strings.TrimPrefix(standard().URL, "http://"))
	command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	command.Dir = dir
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return string(out)
}

func TestReadmeWatch(t *testing.T) {
	t.Parallel()
	out := runShown(t, "Watch it run")
	if n := strings.Count(out, "event: stdout\n"); n < 3 || !strings.Contains(out, `"status":"succeeded"`) || !strings.Contains(out, `data: {"text":"step 1 of `) {
		t.Errorf("%d pieces:\n%s", n, out)
	}
}

func TestReadmeBatch(t *testing.T) {
	t.Parallel()
	out := runShown(t, "Many at once")
	if n := strings.Count(out, "\n"); n != 100 || !strings.Contains(out, "[99,10000]\n") || !strings.Contains(out, "[0,1]\n") {
		t.Errorf("%d lines:\n%.500s", n, out)
	}
}
