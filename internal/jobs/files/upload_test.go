package files

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"
)

func TestUploadsToAFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "files")
	testUploads(t, open(t, "file://"+dir))
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// testUploads uploads files, also some that break off, and deletes them.
func testUploads(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	for _, size := range []int{0, 1, uploadPart, 12 << 20} {
		content := bytes.Repeat([]byte("x"), size)
		got, err := s.Upload(ctx, "f_name", "text/csv", bytes.NewReader(content), time.Hour)
		if err != nil || got.Size != int64(size) {
			t.Fatalf("%d bytes: %+v, %v", size, got, err)
		}
		if stored := contentFrom(ctx, t, s, got.Key, 0); stored != string(content) {
			t.Errorf("%d bytes came back of %d", len(stored), size)
		}
		for range 2 { // deleting what is gone is no error
			if err := s.Delete(ctx, got.Key); err != nil {
				t.Error(err)
			}
		}
	}
	broken := errors.New("the client is gone")
	for _, size := range []int{10, 12 << 20} {
		content := io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(broken))
		if _, err := s.Upload(ctx, "f_broken", "text/csv", content, time.Hour); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Upload(ended, "f_ended", "text/csv", bytes.NewReader(nil), time.Hour); err == nil {
		t.Error("an upload succeeded after the end of its context")
	}
	if removed, err := s.Sweep(ctx, time.Now().Add(2*time.Hour)); removed != 0 || err != nil {
		t.Errorf("%d files were left, %v", removed, err)
	}
}
