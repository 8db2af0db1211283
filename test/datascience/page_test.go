package datascience

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cellblock/test/stack"
)

// TestPage runs the commands of docs/environments.md unchanged, but for the addresses of the service and of the command
// line, and checks what the page shows.
func TestPage(t *testing.T) {
	t.Parallel()
	commands := stack.DocumentedCommands(t, "../../docs/environments.md", "Try data-science")
	if len(commands) != 2 {
		t.Fatalf("%d blocks of commands", len(commands))
	}
	dir := t.TempDir()
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(examples, filepath.Join(dir, "examples")); err != nil {
		t.Fatal(err)
	}
	byCurl := run(t, dir, commands[0])
	for _, want := range []string{
		`"stdout":"slope 3.00, R² 0.9999\n"`, `"result":70.0`, `"name":"stock.parquet"`, `"name":"figure-1.png"`,
	} {
		if !strings.Contains(byCurl, want) {
			t.Errorf("%s is missing in\n%s", want, byCurl)
		}
	}
	byCommand := run(t, dir, commands[1])
	for _, want := range []string{"slope 3.00, R² 0.9999\n", "70.0\n"} {
		if !strings.Contains(byCommand, want) {
			t.Errorf("%s is missing in\n%s", want, byCommand)
		}
	}
	for name, head := range map[string]string{"stock.parquet": "PAR1", "figure-1.png": "\x89PNG"} {
		content, err := os.ReadFile(filepath.Join(dir, "out", name))
		if err != nil || !strings.HasPrefix(string(content), head) {
			t.Errorf("%s: %.20q, %v", name, content, err)
		}
	}
}

// run runs commands of the document in dir.
func run(t *testing.T, dir, commands string) string {
	t.Helper()
	commands = strings.NewReplacer("localhost:8080", strings.TrimPrefix(service.URL, "http://"),
		"bin/cellblock", program).Replace(commands)
	command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	command.Dir, command.Env = dir, append(os.Environ(), "CELLBLOCK_URL="+service.URL)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, stderr.String())
	}
	return string(out)
}
