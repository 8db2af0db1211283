// Package files keeps the files that jobs left: in a folder of this machine, or
// in a bucket that many machines reach (gocloud.dev/blob).
//
// A file's key begins with when it expires, in seconds since 1970, so that what
// has expired is found first, and no index is needed. Nothing in a key is a
// client's or a script's to choose.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file:// URLs
	_ "gocloud.dev/blob/s3blob"   // s3:// URLs
	"gocloud.dev/gcerrors"

	"cellblock/internal/jobs"
	"cellblock/internal/owndir"
)

// Settings say where files are kept.
type Settings struct {
	URL string `name:"files-url" env:"FILES_URL" default:"" help:"Where the files that jobs leave are kept, the same for the API and the workers: a folder (file:///path, made if missing) or an S3 bucket (s3://name?region=...&endpoint=...&use_path_style=true, with the AWS SDK's variables for the credentials). Empty means a folder of this machine: /var/lib/cellblock/files as root, else one under the user's state folder."`
}

// Store keeps files. It is safe for concurrent use. Close must be called.
type Store struct {
	url string
	// private is a folder that other users must not have prepared; empty for none.
	private string

	mu     sync.Mutex
	bucket *blob.Bucket
}

// New makes a store. Nothing is opened before it is needed: the API and workers
// start, and run jobs that leave no files, where there is no place for any.
func New(settings Settings) *Store {
	url := settings.URL
	if url == "" {
		url = "file://" + filepath.ToSlash(defaultFolder())
	}
	if path, local := strings.CutPrefix(url, "file://"); local && !strings.Contains(path, "?") {
		// What is written first is renamed, within the folder; types are in the record.
		url += "?create_dir=true&dir_file_mode=0700&no_tmp_dir=true&metadata=skip"
	}
	s := &Store{url: url}
	if settings.URL == "" && strings.HasPrefix(defaultFolder(), os.TempDir()) {
		s.private = filepath.Dir(defaultFolder())
	}
	return s
}

// defaultFolder is where files are kept unless told otherwise.
func defaultFolder() string {
	if os.Geteuid() == 0 {
		return "/var/lib/cellblock/files"
	}
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return filepath.Join(os.TempDir(), "cellblock-"+strconv.Itoa(os.Geteuid()), "files")
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "cellblock", "files")
}

// open gives the bucket, opened at the first need.
func (s *Store) open(ctx context.Context) (*blob.Bucket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bucket != nil {
		return s.bucket, nil
	}
	if s.private != "" {
		if err := owndir.Make(s.private, 0o700); err != nil {
			return nil, fmt.Errorf("FILES_URL: %w; choose a folder of this user's own", err)
		}
	}
	bucket, err := blob.OpenBucket(ctx, s.url)
	if err != nil {
		return nil, fmt.Errorf("FILES_URL: %w", err)
	}
	s.bucket = bucket
	return bucket, nil
}

// Close gives back what is open. Nothing may be in use.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bucket == nil {
		return nil
	}
	return s.bucket.Close()
}

// Put keeps a job's files for ttl at least, and notes in each where it is. What
// it leaves when it fails, Sweep removes.
func (s *Store) Put(ctx context.Context, jobID string, files []jobs.OutputFile, ttl time.Duration) error {
	bucket, err := s.open(ctx)
	if err != nil {
		return err
	}
	expires := time.Now().Add(ttl + expirySlack).Unix()
	// A job may run twice where Redis has lost that it was started: then each run
	// has its own files, and the one whose end stands is answered with those.
	run := uuid.NewString()
	for i := range files {
		file := &files[i]
		file.Key = fmt.Sprintf("%010d.%s.%s.%d", expires, jobID, run, i)
		if err := bucket.WriteAll(ctx, file.Key, file.Content, &blob.WriterOptions{ContentType: file.MediaType}); err != nil {
			return fmt.Errorf("keep a file of job %s: %w", jobID, err)
		}
	}
	return nil
}

// Open returns a file's content, which can be read from any place on until ctx ends;
// the caller closes it. CodeNotFound.
func (s *Store) Open(ctx context.Context, key string) (io.ReadSeekCloser, error) {
	bucket, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	reader, err := bucket.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, jobs.Errorf(jobs.CodeNotFound, "the job has no such file, or it has expired")
	}
	if err != nil {
		return nil, fmt.Errorf("read a file: %w", err)
	}
	return reader, nil
}

const (
	// expirySlack is how much longer than its record a file is kept: the record's
	// time is told by Redis's clock and begins later.
	expirySlack = 2 * time.Minute
	// sweepInterval is how often what has expired is removed.
	sweepInterval = time.Minute
)

// SweepEvery removes what has expired, until ctx ends. Those who do it at the
// same time do not disturb each other.
func (s *Store) SweepEvery(ctx context.Context, failed func(error)) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		if _, err := s.Sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Sweep removes what has expired by now, and counts it.
func (s *Store) Sweep(ctx context.Context, now time.Time) (removed int, err error) {
	bucket, err := s.open(ctx)
	if err != nil {
		return 0, err
	}
	keys := bucket.List(nil) // by key: the oldest come first
	for {
		object, err := keys.Next(ctx)
		if errors.Is(err, io.EOF) {
			return removed, nil
		}
		if err != nil {
			return removed, fmt.Errorf("list the files: %w", err)
		}
		stamp, _, ours := strings.Cut(object.Key, ".")
		expires, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || !ours {
			continue // somebody else's
		}
		if expires > now.Unix() {
			return removed, nil
		}
		if err := bucket.Delete(ctx, object.Key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return removed, fmt.Errorf("remove a file: %w", err)
		}
		removed++
	}
}
