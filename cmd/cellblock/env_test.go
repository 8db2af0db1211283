package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestEnvStatuses checks the exit status of what needs no build.
func TestEnvStatuses(t *testing.T) {
	t.Parallel()
	sources := t.TempDir()
	if err := os.MkdirAll(filepath.Join(sources, "unpinned"), 0o755); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(sources, "unpinned", "requirements.txt")
	if err := os.WriteFile(lock, []byte("numpy\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		words  []string
		status int
	}{
		{[]string{"list"}, 0},
		{[]string{"list", "--json"}, 0},
		{[]string{"build", "../unpinned"}, statusUsage},
		{[]string{"build", "Upper", "--force"}, statusUsage},
		{[]string{"build"}, statusUsage},
		{[]string{"build", "unpinned"}, statusFailed},
		{[]string{"build", "absent"}, statusFailed},
		{[]string{"check", ".hidden"}, statusUsage},
		{[]string{"check", "unpinned"}, statusFailed},
		{[]string{"remove", "a/b"}, statusUsage},
		{[]string{"remove", "default"}, statusFailed},
		{[]string{"remove", "unpinned"}, statusFailed},
	} {
		root := filepath.Join("/var/tmp/cellblock-env-absent", t.Name())
		words := append(append([]string{"env"}, c.words...),
			"--environments-source", sources, "--environments-dir", root, "--prefix", root+"-prefix")
		if got := start(words); got != c.status {
			t.Errorf("%v: exit status %d, want %d", c.words, got, c.status)
		}
		if _, err := os.Stat(root); err == nil {
			t.Errorf("%v made %s", c.words, root)
		}
	}
}
