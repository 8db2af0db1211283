package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cellblock/client"
)

// maxUpload is the largest file that the service stores, in bytes.
const maxUpload = 16 << 20

// uploadCommand is `cellblock upload`.
type uploadCommand struct {
	Service serviceFlags `embed:""`
	File    string       `arg:"" complete:"file" help:"File to upload; - reads standard input."`
	Name    string       `placeholder:"NAME" help:"Name for downloads, instead of the file's own."`
	JSON    bool         `name:"json" help:"Print the id, size, hash and expiry as JSON."`
}

// Help is the text of `cellblock upload --help`.
func (*uploadCommand) Help() string {
	return `Standard output has only the file's id, by which later jobs have the file until it expires.

    id=$(cellblock upload examples/sales.csv)
    cellblock run examples/query.py --file "file:$id=data/sales.csv" --arg region=south --arg least=90`
}

// Run uploads the file.
func (c *uploadCommand) Run() error {
	upload := client.Upload{Name: c.Name}
	source := io.Reader(os.Stdin)
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return usage(err)
		}
		defer func() { _ = file.Close() }() // it is only read
		source, upload.Name = file, destOr(c.Name, filepath.Base(c.File))
	}
	var err error
	// One byte more, so that the service refuses what is too large.
	if upload.Content, err = io.ReadAll(io.LimitReader(source, maxUpload+1)); err != nil {
		return usage(err)
	}
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		file, err := service.UploadFile(ctx, upload)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		if c.JSON {
			return printJSON(file)
		}
		fmt.Fprintln(standardOutput, file.FileID)
		note("%s, %d bytes, until %s", file.Name, file.Size, file.ExpiresAt)
		return nil
	})
}
