package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"cellblock/test/stack"
)

var (
	programs stack.Programs
	// skewedWorker is the path of a worker whose clock is an hour ahead.
	skewedWorker string
	// environment is that of every third job; the others run in the default.
	environment stack.Environment

	rowsMu sync.Mutex
	rows   []string
)

func TestMain(m *testing.M) { stack.Main(m, "faults", run) }

func run(m *testing.M) (int, error) {
	if err := stack.AdoptOrphans(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "cellblock-faults-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if programs, err = stack.Build(context.Background(), dir); err != nil {
		return 1, err
	}
	if skewedWorker, err = buildSkewed(dir); err != nil {
		return 1, err
	}
	if environment, err = stack.OpenEnvironment(stack.Handmade); err != nil {
		return 1, err
	}
	code := m.Run()
	if err := environment.Close(); err != nil {
		return 1, err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "fault\tjobs\tran\tran twice\tno end\tswapped\tworker_lost\tlost with Redis\tlast client knew")
	for _, row := range rows {
		fmt.Fprintln(table, row)
	}
	return code, table.Flush()
}

// buildSkewed builds a worker whose clock is an hour ahead. Go reads the time from the kernel
// without libc, so libfaketime has no effect; instead this build replaces the standard library's
// time.Now.
func buildSkewed(dir string) (string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	const line = "\tsec, nsec, mono := runtimeNow()\n"
	skewed := strings.Replace(string(source), "func Now() Time {\n"+line,
		"func Now() Time {\n"+line+"\tsec += 3600\n", 1)
	if skewed == string(source) {
		return "", fmt.Errorf("%s has no time.Now that can be moved", original)
	}
	replacement, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(replacement, []byte(skewed), 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, fmt.Appendf(nil, `{"Replace": {%q: %q}}`, original, replacement),
		0o600); err != nil {
		return "", err
	}
	late := filepath.Join(dir, "late")
	if err := os.Mkdir(late, 0o700); err != nil {
		return "", err
	}
	built, err := stack.Build(context.Background(), late, "-overlay", overlay)
	return built.Worker, err
}
