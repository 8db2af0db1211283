package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
)

// Upload is a file to store for later jobs.
type Upload struct {
	// Name is the file's name in downloads; "" leaves the choice to the service.
	Name string
	// MediaType is its Content-Type; "" lets the name decide.
	MediaType string
	// Content has at most 16 MiB.
	Content []byte
}

// UploadFile stores a file, which requests can name (File.FileID) until it expires (StoredFile.ExpiresAt). It fails
// with CodeStorageFull if the stored files together have reached the service's bound. An attempt whose response is
// lost may leave a second file, which expires like the first.
func (c *Client) UploadFile(ctx context.Context, upload Upload) (*StoredFile, error) {
	post := call{method: http.MethodPost, path: []string{"files"}, body: upload.Content, header: http.Header{}}
	if upload.MediaType != "" {
		post.header.Set("Content-Type", upload.MediaType)
	}
	if upload.Name != "" {
		post.query = url.Values{"name": {upload.Name}}
	}
	var file StoredFile
	if _, err := c.fetch(ctx, post, &file); err != nil {
		return nil, err
	}
	return &file, nil
}

// DownloadFile opens a stored file. The caller closes it. A read fails if the connection breaks before the end.
func (c *Client) DownloadFile(ctx context.Context, id string) (io.ReadCloser, error) {
	response, err := c.stream(ctx, call{method: http.MethodGet, path: []string{"files", id}})
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

// DeleteFile deletes a stored file. Jobs that were accepted with it keep their copy. It fails with CodeNotFound if the
// file is gone already, also by an earlier attempt whose response was lost.
func (c *Client) DeleteFile(ctx context.Context, id string) error {
	response, err := c.stream(ctx, call{method: http.MethodDelete, path: []string{"files", id}})
	if err != nil {
		return err
	}
	return response.Body.Close()
}
