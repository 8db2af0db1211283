package files

import (
	"context"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// restlessFolder is a bucket whose listings fail a number of times, as those of a folder do in which a file goes while
// it is listed.
type restlessFolder struct {
	driver.Bucket

	failures, deleted int
}

func (f *restlessFolder) ListPaged(context.Context, *driver.ListOptions) (*driver.ListPage, error) {
	if f.failures--; f.failures >= 0 {
		return nil, &fs.PathError{Op: "lstat", Path: "0000000002.y.17.tmp", Err: fs.ErrNotExist}
	}
	return &driver.ListPage{Objects: []*driver.ListObject{{Key: fmt.Sprintf("%010d.x", 1)}}}, nil
}

func (f *restlessFolder) Delete(context.Context, string, *driver.DeleteOptions) error {
	f.deleted++
	return nil
}

func (f *restlessFolder) ErrorCode(error) gcerrors.ErrorCode { return gcerrors.NotFound }

func (f *restlessFolder) Close() error { return nil }

func TestSweepWhileFilesGo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ failures, removed int }{{0, 1}, {3, 1}, {maxRestarts + 1, 0}} {
		folder := &restlessFolder{failures: c.failures}
		s := open(t, "mem://")
		s.bucket = blob.NewBucket(folder)
		removed, err := s.Sweep(t.Context(), time.Now())
		if removed != c.removed || folder.deleted != c.removed || (err != nil) != (c.removed == 0) {
			t.Errorf("after %d failures: %d were removed, %v", c.failures, removed, err)
		}
	}
}
