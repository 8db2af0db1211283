package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

const (
	// Lag is how long after its lifetime the content of a file may still be there, while a sweeper runs.
	Lag = expirySlack + 2*sweepInterval
	// uploadPart is the smallest part of an upload that S3 accepts.
	uploadPart = 5 << 20
)

// Uploaded describes the stored content of an upload.
type Uploaded struct {
	Key  string
	Size int64
	// SHA256 is the hash of the content, in hexadecimal.
	SHA256 string
}

// Upload stores what it reads from content for at least ttl, under a key that ends with name, which is an id. A folder
// takes the content as it arrives; for a bucket, up to 16 MiB of it are held in memory. If Upload fails, or ctx ends,
// nothing is stored.
func (s *Store) Upload(
	ctx context.Context, name, mediaType string, content io.Reader, ttl time.Duration,
) (Uploaded, error) {
	bucket, err := s.open(ctx)
	if err != nil {
		return Uploaded{}, err
	}
	key := fmt.Sprintf("%010d.%s", time.Now().Add(ttl+expirySlack).Unix(), name)
	// A writer whose context has ended stores nothing when it is closed.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	writer, err := bucket.NewWriter(ctx, key, &blob.WriterOptions{
		ContentType: mediaType, BufferSize: uploadPart, MaxConcurrency: 1,
	})
	if err != nil {
		return Uploaded{}, fmt.Errorf("store a file: %w", err)
	}
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(writer, sum), content)
	if err != nil {
		cancel()
		_ = writer.Close() // it removes what was written
		return Uploaded{}, fmt.Errorf("store a file: %w", err)
	}
	if err := writer.Close(); err != nil {
		return Uploaded{}, fmt.Errorf("store a file: %w", err)
	}
	return Uploaded{Key: key, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// Delete removes the content under a key, if it is there.
func (s *Store) Delete(ctx context.Context, key string) error {
	bucket, err := s.open(ctx)
	if err != nil {
		return err
	}
	if err := bucket.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("remove a file: %w", err)
	}
	return nil
}
