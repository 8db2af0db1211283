// Package storedfiles keeps the files that clients upload once and use in many jobs, and resolves the references of
// requests to files: to these, and to those that earlier jobs left.
//
// A file's record is in Redis, its content in the store of files. The ids that clients send become files in two places
// only, Keeper.Find and resolution.record: whether a client may use a file is decided there.
package storedfiles

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/files"
	"cellblock/internal/jobs/store"
)

// Settings bound the stored files.
type Settings struct {
	TTL     time.Duration `name:"stored-files-ttl" env:"STORED_FILES_TTL" default:"24h" help:"How long (duration) an uploaded file (POST /files) can be used, from 1m to 720h."`
	TotalMB int64         `name:"stored-files-mb" env:"STORED_FILES_MB" default:"1024" help:"Bound on all uploaded files together (MiB), beyond which uploads are refused with 507; each counts as 16 KiB at least. 0 refuses all uploads."`
}

// Validate returns an error if a setting is out of range.
func (s Settings) Validate() error {
	if s.TTL < time.Minute || s.TTL > 720*time.Hour {
		return errors.New("STORED_FILES_TTL must be from 1m to 720h")
	}
	if s.TotalMB < 0 || s.TotalMB > 1<<30 {
		return errors.New("STORED_FILES_MB must be 0 (no uploads) or above, in MiB")
	}
	return nil
}

const (
	// patience bounds each step in Redis.
	patience = 15 * time.Second
	// reservationTTL is how long the bytes of an upload are reserved. It exceeds the time that one may take, and frees
	// those of an API that died.
	reservationTTL = 10 * time.Minute
	// uploadTimeout bounds an upload, the time that its client takes included.
	uploadTimeout = 2 * time.Minute
	// cleanupTimeout bounds the cleanup after an upload that failed.
	cleanupTimeout = 10 * time.Second
)

// Keeper stores, reads and deletes the files that clients upload. It is safe for concurrent use.
type Keeper struct {
	records  *store.Store
	contents *files.Store
	settings Settings
	// uploaded is closed by the first upload.
	uploaded chan struct{}
	once     sync.Once
}

// NewKeeper returns a keeper.
func NewKeeper(records *store.Store, contents *files.Store, settings Settings) *Keeper {
	return &Keeper{records: records, contents: contents, settings: settings, uploaded: make(chan struct{})}
}

// Sweep removes expired files from the first upload on, until ctx is done, and calls failed with errors. Workers do so
// too, but there may be none; and an API that stores nothing may not have the right to remove files.
func (k *Keeper) Sweep(ctx context.Context, failed func(error)) {
	select {
	case <-k.uploaded:
		k.contents.SweepEvery(ctx, failed)
	case <-ctx.Done():
	}
}

// errNoCaller is the error for an upload whose context has no caller. Nothing may be stored for it.
var errNoCaller = errors.New("the upload has no caller")

// Upload stores a file of the caller's tenant (jobs.CallerOf) and returns its record. content fails if it is larger
// than jobs.MaxStoredFileBytes. If Upload fails, nothing is stored; it returns the error of content as it is, or a
// *jobs.Error with CodeStorageFull or CodeUnavailable.
func (k *Keeper) Upload(ctx context.Context, upload jobs.Upload, content io.Reader) (jobs.StoredFile, error) {
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	file := jobs.StoredFile{ID: jobs.NewFileID(), Tenant: jobs.CallerOf(ctx).Tenant, MediaType: upload.MediaType}
	if file.Tenant == "" {
		return jobs.StoredFile{}, errNoCaller
	}
	file.Name = cmp.Or(upload.Name, file.ID)
	if err := k.reserve(ctx, file, upload.Size); err != nil {
		return jobs.StoredFile{}, err
	}
	k.once.Do(func() { close(k.uploaded) })
	stored, err := k.contents.Upload(ctx, file.ID, file.MediaType, content, k.settings.TTL)
	if err == nil {
		file.Key, file.Size, file.SHA256 = stored.Key, stored.Size, stored.SHA256
		file.ExpiresAt, err = k.create(ctx, file)
	}
	if err != nil {
		return jobs.StoredFile{}, errors.Join(err, k.forget(ctx, file))
	}
	return file, nil
}

// reserve counts the bytes of an upload before it is stored, so that uploads at once keep to the bound too.
func (k *Keeper) reserve(ctx context.Context, file jobs.StoredFile, size int64) error {
	if size < 0 {
		size = jobs.MaxStoredFileBytes
	}
	limit := k.settings.TotalMB << 20
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	space, err := k.records.ReserveFile(bounded, file, size, limit, reservationTTL)
	switch {
	case err != nil:
		return explain(ctx, "the file could not be stored", err)
	case limit == 0:
		return jobs.Errorf(jobs.CodeStorageFull, "this service stores no files; send them with each request")
	case !space.Reserved && size <= space.Free:
		return &jobs.Error{
			Code: jobs.CodeStorageFull,
			Message: fmt.Sprintf("the stored files of your tenant have %.1f MiB, and with this one they would have "+
				"more than the %.1f MiB that are left for all; delete some that are no longer needed "+
				"(DELETE /files/{file_id}), wait until some expire, or send the file with the request",
				mib(space.Own), mib(space.Free)),
			Limit: &jobs.LimitHit{Name: "stored_files", Value: float64(space.Free), Unit: "bytes"},
		}
	case !space.Reserved:
		return &jobs.Error{
			Code: jobs.CodeStorageFull,
			Message: fmt.Sprintf("the stored files would have more than %d MiB together, the bound here; delete some "+
				"that are no longer needed (DELETE /files/{file_id}), wait until some expire, or send the file with "+
				"the request", k.settings.TotalMB),
			Limit: &jobs.LimitHit{Name: "stored_files", Value: float64(limit), Unit: "bytes"},
		}
	}
	return nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func (k *Keeper) create(ctx context.Context, file jobs.StoredFile) (expires time.Time, err error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	expires, err = k.records.CreateFile(bounded, file, k.settings.TTL, k.settings.TTL+files.Lag)
	if err != nil {
		return expires, explain(ctx, "the file could not be stored", err)
	}
	return expires, nil
}

// forget removes what there is of an upload that failed, even if ctx has ended.
func (k *Keeper) forget(ctx context.Context, file jobs.StoredFile) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if file.Key != "" {
		if err := k.contents.Delete(ctx, file.Key); err != nil {
			return err // it counts until it expires
		}
	}
	_, err := k.records.DeleteFile(ctx, file)
	return err
}

// Find returns the record of a file that the caller (jobs.CallerOf) sees, or a *jobs.Error with CodeNotFound or
// CodeUnavailable.
func (k *Keeper) Find(ctx context.Context, id string) (jobs.StoredFile, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	id, ok := jobs.ParseFileID(id)
	if !ok {
		return jobs.StoredFile{}, jobs.NotFound("file")
	}
	file, err := k.records.StoredFile(bounded, jobs.CallerOf(ctx), id)
	if err != nil {
		return jobs.StoredFile{}, explain(ctx, "the file's record could not be read", err)
	}
	return file, nil
}

// Delete deletes a file. Of several calls at once, one succeeds. Jobs that were accepted with the file keep their copy.
// It returns a *jobs.Error with CodeNotFound or CodeUnavailable.
func (k *Keeper) Delete(ctx context.Context, id string) error {
	file, err := k.Find(ctx, id)
	if err != nil {
		return err
	}
	// The content first: if that fails, the file is still there and counted, and the client can try again.
	if err := k.contents.Delete(ctx, file.Key); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	deleted, err := k.records.DeleteFile(bounded, file)
	switch {
	case err != nil:
		return explain(ctx, "the file could not be deleted", err)
	case !deleted:
		return jobs.NotFound("file")
	}
	return nil
}

// explain returns the error for a client whose request to Redis failed with err: ctx's if it has ended, else a
// *jobs.Error.
func explain(ctx context.Context, message string, err error) error {
	if jobs.CodeOf(err) == "" && ctx.Err() != nil {
		return ctx.Err()
	}
	return store.ClientError(message, err)
}
