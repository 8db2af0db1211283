//go:build compose

package compose

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEnvironments builds an environment into the volume of a running service, which has no network itself.
func TestEnvironments(t *testing.T) {
	p := startProject(t, "environments", 1, nil, "deploy/compose/environments.yml")
	source := t.TempDir()
	dir := filepath.Join(source, "bare")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"requirements.txt": "# no packages\n", "environment.toml": "description = \"Python alone\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.compose(t, "build", "build-environments")
	p.compose(t, "run", "--rm", "--volume", source+":/environments:ro", "build-environments", "bare")
	inWorker := func(args ...string) string {
		t.Helper()
		return p.compose(t, append([]string{"exec", "-T", "worker"}, args...)...)
	}
	if listed := inWorker("/app/cellblock", "env", "list"); !strings.Contains(listed, "Python alone") {
		t.Errorf("the worker has:\n%s", listed)
	}
	if checked := inWorker("/app/cellblock", "env", "check", "bare"); !strings.Contains(checked, "a trial script ran in") {
		t.Errorf("checked:\n%s", checked)
	}
	if wrote := inWorker("sh", "-c", "touch /opt/cellblock-environments/x 2>&1 || true"); !strings.Contains(wrote, "Read-only") {
		t.Errorf("the worker can write the volume: %s", wrote)
	}
}
