package tenantkeys

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"cellblock/internal/jobs"
)

// filePoll is how often the file is checked for changes: a key that is removed from it is refused within a second.
const filePoll = 500 * time.Millisecond

// File has the keys of API_KEYS_FILE. It is safe for concurrent use.
type File struct {
	path   string
	logger *slog.Logger
	keys   atomic.Pointer[map[Sum]jobs.Key]
	// seen is the SHA-256 of the content that was read last, and failed the last error of reading it. Only Watch uses
	// them.
	seen   [sha256.Size]byte
	failed string
}

// OpenFile reads a file of keys, and returns an error for one that cannot be read or is not valid.
func OpenFile(path string, logger *slog.Logger) (*File, error) {
	f := &File{path: path, logger: logger}
	if _, err := f.refresh(); err != nil {
		return nil, err
	}
	return f, nil
}

// refresh reads the file, and reports whether it has changed. If it returns an error, the keys stay as they are. It
// compares the content and not its time, whose steps may be longer than the pause between two changes.
func (f *File) refresh() (changed bool, err error) {
	content, err := readBounded(f.path)
	if err != nil {
		return false, fmt.Errorf("API_KEYS_FILE: %w", err)
	}
	sum := sha256.Sum256(content)
	if sum == f.seen {
		return false, nil
	}
	f.seen = sum
	keys, err := parseFile(content)
	if err != nil {
		return true, fmt.Errorf("API_KEYS_FILE %s: %w", f.path, err)
	}
	f.keys.Store(&keys)
	f.logger.Info("read the file of keys", "path", f.path, "keys", len(keys))
	return true, nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err == nil && len(content) > maxFileBytes {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFileBytes)
	}
	return content, err
}

// find returns the key with a sum, and whether there is one.
func (f *File) find(sum Sum) (key jobs.Key, known bool) {
	key, known = (*f.keys.Load())[sum]
	return key, known
}

// Watch reads the file again when it has changed, until ctx is done. A new version that cannot be read or is not valid
// is logged, once, and the keys of the one before stay.
func (f *File) Watch(ctx context.Context) {
	ticker := time.NewTicker(filePoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.check()
		}
	}
}

func (f *File) check() {
	changed, err := f.refresh()
	switch {
	case err == nil:
		f.failed = ""
	case changed || err.Error() != f.failed:
		f.failed = err.Error()
		f.logger.Error("the file of keys cannot be used; the keys of its last version stay", "error", err)
	}
}

// fileID returns the public id of a key of the file. It is derived from the sum, but the sum cannot be found from it.
func fileID(sum Sum) string {
	of := sha256.Sum256(append([]byte("cellblock key id "), sum[:]...))
	return jobs.KeyIDPrefix + strings.ToLower(base32.StdEncoding.EncodeToString(of[:]))[:idLength]
}
