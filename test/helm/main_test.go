package helm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	chart = "../../deploy/helm/cellblock"
	tools = "../../.cache/helm"
)

// run runs a tool and returns what it prints on standard output, or with the error on both. A tool that is not there
// fails the test.
func run(t *testing.T, tool string, stdin []byte, args ...string) (string, error) {
	t.Helper()
	path := filepath.Join(tools, tool)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is not there; make test-helm builds it", path)
	}
	command := exec.CommandContext(t.Context(), path, args...)
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String() + stderr.String(), err
	}
	return stdout.String(), nil
}

// mustRun is run, and fails the test if the tool does.
func mustRun(t *testing.T, tool string, args ...string) string {
	t.Helper()
	output, err := run(t, tool, nil, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, output)
	}
	return output
}

// valuesFiles returns the files of values in ci/.
func valuesFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*-values.yaml"))
	if err != nil || len(files) < 7 {
		t.Fatalf("found %d files of values, %v", len(files), err)
	}
	return files
}

// forEachShape runs a test in parallel for each of these files.
func forEachShape(t *testing.T, test func(t *testing.T, file string)) {
	t.Helper()
	for _, file := range valuesFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), "-values.yaml"), func(t *testing.T) {
			t.Parallel()
			test(t, file)
		})
	}
}

// copyChart returns a copy of the chart in which one text of a template is replaced.
func copyChart(t *testing.T, template, from, to string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cellblock")
	if err := os.CopyFS(dir, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "templates", template)
	content, err := os.ReadFile(path)
	if err != nil || !slices.Contains(strings.Fields(string(content)), from) {
		t.Fatalf("%s has no %s: %v", template, from, err)
	}
	content = bytes.ReplaceAll(content, []byte(from), []byte(to))
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
