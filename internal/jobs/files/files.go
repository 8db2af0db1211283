// Package files stores the output files of jobs, and the files that clients upload: in a local folder, or in a bucket
// that many machines share (gocloud.dev/blob).
//
// A file's key begins with its expiry time, in seconds since 1970, so that a listing starts with the expired files and
// no index is needed. No part of a key is chosen by a client or a script.
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
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file:// URLs
	_ "gocloud.dev/blob/s3blob"   // s3:// URLs
	"gocloud.dev/gcerrors"
	"golang.org/x/sync/semaphore"

	"cellblock/internal/jobs"
	"cellblock/internal/owndir"
)

// Settings select where files are stored.
type Settings struct {
	URL string `name:"files-url" env:"FILES_URL" default:"" help:"Where output files of jobs and uploaded files are stored, the same for the API and the workers: a folder (file:///path, created if missing) or an S3 bucket (s3://name?region=...&endpoint=...&use_path_style=true, with the AWS SDK's variables for the credentials). Empty means a folder of this machine: /var/lib/cellblock/files as root, else one under the user's state folder."`
}

// Store stores files. It is safe for concurrent use. Call Close when done.
type Store struct {
	url string
	// private is a folder that no other user may have created; "" for none.
	private string

	// turn is held while the bucket is opened.
	turn   *semaphore.Weighted
	bucket *blob.Bucket
}

// openTimeout bounds the opening of the bucket, for which others wait.
const openTimeout = 30 * time.Second

// New returns a store. It opens nothing before the first use, so that the API and the workers start, and run jobs
// without output files, even if the place is not available.
func New(settings Settings) *Store {
	url := settings.URL
	if url == "" {
		url = "file://" + filepath.ToSlash(defaultFolder())
	}
	if path, local := strings.CutPrefix(url, "file://"); local && !strings.Contains(path, "?") {
		// Temporary files are renamed within the folder; media types are in the job's record.
		url += "?create_dir=true&dir_file_mode=0700&no_tmp_dir=true&metadata=skip"
	}
	s := &Store{url: url, turn: semaphore.NewWeighted(1)}
	if settings.URL == "" && strings.HasPrefix(defaultFolder(), os.TempDir()) {
		s.private = filepath.Dir(defaultFolder())
	}
	return s
}

// defaultFolder returns the folder for an empty FILES_URL.
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

// open returns the bucket. The first call opens it.
func (s *Store) open(ctx context.Context) (*blob.Bucket, error) {
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("FILES_URL: %w", err)
	}
	defer s.turn.Release(1)
	if s.bucket != nil {
		return s.bucket, nil
	}
	if s.private != "" {
		if err := owndir.Make(s.private, 0o700); err != nil {
			return nil, fmt.Errorf("FILES_URL: %w; choose a folder of this user's own", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	bucket, err := blob.OpenBucket(ctx, s.url)
	if err != nil {
		return nil, fmt.Errorf("FILES_URL: %w", err)
	}
	s.bucket = bucket
	return bucket, nil
}

// Close closes the bucket. No other method may be in progress.
func (s *Store) Close() error {
	if s.bucket == nil {
		return nil
	}
	return s.bucket.Close()
}

// Put stores a job's files for at least ttl, and sets the Key of each. If it fails, Sweep later removes the files
// already written.
func (s *Store) Put(ctx context.Context, jobID string, files []jobs.OutputFile, ttl time.Duration) error {
	bucket, err := s.open(ctx)
	if err != nil {
		return err
	}
	expires := time.Now().Add(ttl + expirySlack).Unix()
	// A job may run twice if Redis lost the record of its start. Each run has its own files, and the record that is
	// kept has the keys of its own run.
	run := uuid.NewString()
	for i := range files {
		file := &files[i]
		file.Key = fmt.Sprintf("%010d.%s.%s.%d", expires, jobID, run, i)
		if err := bucket.WriteAll(ctx, file.Key, file.Content,
			&blob.WriterOptions{ContentType: file.MediaType}); err != nil {
			return fmt.Errorf("keep a file of job %s: %w", jobID, err)
		}
	}
	return nil
}

// Open returns a file's content, which is readable from any offset until ctx is done. The caller closes it. It returns
// a *jobs.Error with CodeNotFound if the file does not exist or has expired.
func (s *Store) Open(ctx context.Context, key string) (io.ReadSeekCloser, error) {
	bucket, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	reader, err := bucket.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, jobs.NotFound("file")
	}
	if err != nil {
		return nil, fmt.Errorf("read a file: %w", err)
	}
	return reader, nil
}

const (
	// expirySlack is how much longer than its record a file is kept, because the record's lifetime follows Redis's
	// clock and starts later.
	expirySlack = 2 * time.Minute
	// sweepInterval is the pause between two sweeps.
	sweepInterval = time.Minute
	// maxRestarts is how often a sweep begins its listing again.
	maxRestarts = 20
)

// SweepEvery removes expired files until ctx is done, and calls failed with errors. Several processes may sweep at the
// same time.
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

// Sweep removes the files that expired before now, and returns their number.
func (s *Store) Sweep(ctx context.Context, now time.Time) (removed int, err error) {
	bucket, err := s.open(ctx)
	if err != nil {
		return 0, err
	}
	keys, restarts := bucket.List(nil), 0 // sorted by key: the oldest first
	for {
		object, err := keys.Next(ctx)
		if errors.Is(err, io.EOF) {
			return removed, nil
		}
		if gcerrors.Code(err) == gcerrors.NotFound && restarts < maxRestarts {
			// A listing of a folder fails if a file goes before its turn: an upload renames its temporary file, another
			// process removes an expired one. Those removed so far are not listed again.
			keys, restarts = bucket.List(nil), restarts+1
			continue
		}
		if err != nil {
			return removed, fmt.Errorf("list the files: %w", err)
		}
		stamp, _, ours := strings.Cut(object.Key, ".")
		expires, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || !ours {
			continue // not a file of this package
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
