package compose

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestBuildsShareOneCache checks that make's local builds share compiled packages. -trimpath makes a separate build of
// every dependency, so it is for releases and images only.
func TestBuildsShareOneCache(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		target  []string
		trimmed bool
	}{
		{[]string{"build"}, false},
		{[]string{"test"}, false},
		{[]string{"build", "RELEASE=1"}, true},
	} {
		command := exec.CommandContext(t.Context(), "make", append([]string{"-n", "-C", "../.."}, c.target...)...)
		command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")} // without variables of make
		out, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "go build ") {
			t.Fatalf("make -n %v: %v\n%s", c.target, err, out)
		}
		if got := strings.Contains(string(out), "-trimpath"); got != c.trimmed {
			t.Errorf("make %v has -trimpath: %t\n%s", c.target, got, out)
		}
	}
	for _, name := range []string{"Dockerfile", "Dockerfile.api", "Dockerfile.worker"} {
		if !strings.Contains(readFile(t, "../../"+name), "go build -trimpath ") {
			t.Errorf("%s builds without -trimpath", name)
		}
	}
}
