package build

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellblock/internal/environment"
)

// fixture is a set of folders for one test.
type fixture struct {
	Settings

	wheels string
}

// newFixture makes folders that sandboxes could see, so not below /tmp. Environments copy the locale of this machine's
// default environment.
func newFixture(t *testing.T) fixture {
	t.Helper()
	if testing.Short() {
		t.Skip("makes virtual environments, which takes seconds")
	}
	dir := filepath.Join("/var/tmp", "cellblock-env-"+rand.Text())
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := fixture{
		Settings: Settings{Sources: dir + "/sources", Root: dir + "/built", Prefix: environment.DefaultPrefix()},
		wheels:   dir + "/wheels",
	}
	for _, folder := range []string{f.Sources, f.wheels} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// wheel writes a wheel with modules by their paths, and returns its line for a lock file.
func (f fixture) wheel(t *testing.T, name, version string, modules map[string]string) string {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	info := fmt.Sprintf("%s-%s.dist-info/", name, version)
	files := map[string]string{
		info + "METADATA": fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version),
		info + "WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
	}
	for path, text := range modules {
		files[path] = text
	}
	record := info + "RECORD,,\n"
	for path := range files {
		record += path + ",,\n"
	}
	files[info+"RECORD"] = record
	for path, text := range files {
		part, err := w.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(f.wheels, fmt.Sprintf("%s-%s-py3-none-any.whl", name, version))
	if err := os.WriteFile(file, archive.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(archive.Bytes())
	return fmt.Sprintf("%s==%s \\\n    --hash=sha256:%x\n    # via a test\n", name, version, hash)
}

// source writes the source folder of an environment whose packages come from the test's wheels only.
func (f fixture) source(t *testing.T, name, spec string, lines ...string) {
	t.Helper()
	dir := filepath.Join(f.Sources, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lock := fmt.Sprintf("--no-index\n--find-links %s\n%s", f.wheels, strings.Join(lines, ""))
	for file, text := range map[string]string{lockFile: lock, specFile: spec} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// quiet are the options of a build that shows nothing.
func quiet() Options { return Options{Progress: func(string, string) {}} }

func (f fixture) build(t *testing.T, name string, o Options) *Result {
	t.Helper()
	result, err := Build(t.Context(), f.Settings, name, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// entries returns the names in the folder of built environments, without locks.
func (f fixture) entries(t *testing.T) []string {
	t.Helper()
	found, err := os.ReadDir(f.Root)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range found {
		if !strings.HasSuffix(entry.Name(), ".lock") {
			names = append(names, entry.Name())
		}
	}
	return names
}
