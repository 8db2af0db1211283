package kernfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever its size, a file is read as package os reads it.
func TestReadAsPackageOSDoes(t *testing.T) {
	t.Parallel()
	files := []string{"/proc/self/mountinfo", "/proc/filesystems", "/proc/version", "/proc/kallsyms", "/dev/null"}
	for _, size := range []int{0, 1, 1023, 1024, 3071, 3072, 3073, 4095, 4096, 4097, 8192, 100_000} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(strings.Repeat("x", size)), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	for _, path := range files {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v, want %d", path, len(got), err, len(want))
		}
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := Write(path, "1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that does not exist: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenForWriting(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Write(path, "12"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("3"); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(path); string(got) != "32" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := Read(filepath.Dir(path)); err == nil {
		t.Error("a folder was read")
	}
}
