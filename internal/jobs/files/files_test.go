package files

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

func output(name, content string) jobs.OutputFile {
	return jobs.OutputFile{
		Name: name, Size: int64(len(content)), MediaType: jobs.MediaType(name),
		Content: []byte(content),
	}
}

func open(t *testing.T, url string) *Store {
	t.Helper()
	s := New(Settings{URL: url})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "files")
	testStore(t, open(t, "file://"+dir))
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// testStore stores, reads and sweeps files, and checks that none remain.
func testStore(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	kept := []jobs.OutputFile{
		output("a/../../é.png", "one"), output("b", strings.Repeat("x", 5<<20)),
		output("empty", ""),
	}
	if err := s.Put(ctx, jobs.NewID(), kept, time.Hour); err != nil {
		t.Fatal(err)
	}
	short := []jobs.OutputFile{output("c", "two")}
	if err := s.Put(ctx, jobs.NewID(), short, time.Second); err != nil {
		t.Fatal(err)
	}
	for _, file := range append(kept, short...) {
		if got := content(ctx, t, s, file.Key); got != string(file.Content) {
			t.Errorf("%s: %d bytes came back, %d were kept", file.Name, len(got), len(file.Content))
		}
		if got := contentFrom(ctx, t, s, file.Key, file.Size/2); got != string(file.Content[file.Size/2:]) {
			t.Errorf("%s: from the middle on %d bytes came back", file.Name, len(got))
		}
		if strings.Contains(file.Key, "/") {
			t.Errorf("the key %q has a part of the name", file.Key)
		}
	}
	for _, step := range []struct {
		after   time.Duration
		removed int
	}{
		{0, 0},
		{expirySlack - 30*time.Second, 0},
		{expirySlack + 2*time.Second, 1},
		{expirySlack + 2*time.Second, 0},
		{expirySlack + time.Hour + 2*time.Second, 3},
	} {
		removed, err := s.Sweep(ctx, time.Now().Add(step.after))
		if err != nil || removed != step.removed {
			t.Errorf("after %v: %d were removed, want %d; %v", step.after, removed, step.removed, err)
		}
	}
	var told *jobs.Error
	if _, err := s.Open(ctx, kept[0].Key); !errors.As(err, &told) || told.Code != jobs.CodeNotFound {
		t.Errorf("what was removed gives %v", err)
	}
}

func content(ctx context.Context, t *testing.T, s *Store, key string) string {
	t.Helper()
	reader, err := s.Open(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	got, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// TestNoPlace uses a store without a place: Put fails, New does not.
func TestNoPlace(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, "file://"+file)
	if err := s.Put(t.Context(), jobs.NewID(), []jobs.OutputFile{output("a", "b")}, time.Hour); err == nil {
		t.Error("a file was kept in a file")
	}
}

// TestSweepLeavesOthers checks that Sweep does not remove foreign files.
func TestSweepLeavesOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, "file://"+dir)
	for _, name := range []string{"README", "0", "x.1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("theirs"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if removed, err := s.Sweep(t.Context(), time.Now().Add(time.Hour)); removed != 0 || err != nil {
		t.Errorf("%d were removed, %v", removed, err)
	}
}

// TestRunTwice checks that two runs of a job have separate files.
func TestRunTwice(t *testing.T) {
	t.Parallel()
	s := open(t, "file://"+filepath.Join(t.TempDir(), "files"))
	id := jobs.NewID()
	runs := [][]jobs.OutputFile{{output("a", "first")}, {output("a", "second")}}
	for _, files := range runs {
		if err := s.Put(t.Context(), id, files, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	for _, files := range runs {
		if got := content(t.Context(), t, s, files[0].Key); got != string(files[0].Content) {
			t.Errorf("got %q, want %q", got, files[0].Content)
		}
	}
}

// contentFrom reads a file from an offset, as a download with Range does.
func contentFrom(ctx context.Context, t *testing.T, s *Store, key string, from int64) string {
	t.Helper()
	reader, err := s.Open(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := reader.Seek(0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Seek(from, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}
