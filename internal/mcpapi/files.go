package mcpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/api"
	"cellblock/internal/jobs"
)

const (
	// maxImage bounds a picture in an answer, and maxImages all of one answer together, in bytes. Clients refuse an
	// answer of more than 1 MiB, and base64 takes a third more.
	maxImage  = 256 << 10
	maxImages = 384 << 10
	// defaultRead and maxRead are the default and the largest number of bytes that read_file returns.
	defaultRead = 16 << 10
	maxRead     = 64 << 10
)

// The names under which read_file returns the whole texts of a job.
const (
	stdoutPath = "@stdout"
	stderrPath = "@stderr"
	resultPath = "@result"
)

// addFiles adds small pictures, links to the other files, and a line that names all.
func (t *tools) addFiles(ctx context.Context, a *answer, job *api.Job) {
	if len(job.Files) == 0 {
		return
	}
	listed := make([]string, 0, len(job.Files))
	var links []mcp.Content
	images, left := int64(0), t.acquireImages(ctx, job.Files)
	names := 0
	for i, file := range job.Files {
		if names += len(file.Name); i == maxFiles || names > maxListed {
			listed = append(listed, fmt.Sprintf("and %d more", len(job.Files)-i))
			break
		}
		a.output.Files = append(a.output.Files, fileOutput{Name: file.Name, Size: file.Size, MediaType: file.MediaType})
		listed = append(listed, fmt.Sprintf("%s (%d bytes)", file.Name, file.Size))
		if isSmallImage(file.Name, file.Size) && images+file.Size <= left {
			if content, err := t.readImage(ctx, job.JobID, file.Name); err == nil && isPNG(content) {
				images += file.Size
				a.content = append(a.content, &mcp.ImageContent{Data: content, MIMEType: "image/png"})
				continue
			}
		}
		if link := t.linkTo(ctx, job.JobID, file.Name); link != "" {
			links = append(links, &mcp.ResourceLink{
				URI: link, Name: file.Name, MIMEType: file.MediaType, Size: &file.Size,
			})
		}
	}
	a.content = append(a.content, links...)
	a.add("files of job %s: %s", job.JobID, strings.Join(listed, ", "))
}

// acquireImages acquires memory for the pictures of an answer, at once so that no two answers wait for one another. It
// returns the most bytes that they may have together: 0 if there is no memory in time; links replace them then.
func (t *tools) acquireImages(ctx context.Context, files []api.OutputFile) int64 {
	bytes := int64(0)
	for _, file := range files[:min(len(files), maxFiles)] {
		if isSmallImage(file.Name, file.Size) {
			bytes = min(bytes+file.Size, maxImages)
		}
	}
	if bytes == 0 || !callOf(ctx).acquire(ctx, bytes) {
		return 0
	}
	return bytes
}

// isSmallImage reports whether a file may be in an answer as a picture, by its name and size.
func isSmallImage(name string, size int64) bool { return path.Ext(name) == ".png" && size <= maxImage }

// readImage returns the content of a file of at most maxImage bytes.
func (t *tools) readImage(ctx context.Context, jobID, name string) ([]byte, error) {
	file, err := t.service.Open(ctx, jobID, name)
	if err != nil {
		return nil, err
	}
	defer file.Content.Close()
	return io.ReadAll(io.LimitReader(file.Content, maxImage))
}

// readArguments are the arguments of read_file.
type readArguments struct {
	JobID  string `json:"job_id"`
	Path   string `json:"path"`
	Offset *int64 `json:"offset"`
	Length *int64 `json:"length"`
}

// readOutput is the structured content of read_file; readSchema describes it.
type readOutput struct {
	Name      string `json:"name,omitzero"`
	Size      int64  `json:"size"`
	MediaType string `json:"media_type,omitzero"`
	Offset    int64  `json:"offset"`
	Text      string `json:"text,omitzero"`
	// NextOffset is nil at the end of the file.
	NextOffset *int64 `json:"next_offset,omitzero"`
	URL        string `json:"url,omitzero"`
	// Error is nil unless the call failed.
	Error *errorOutput `json:"error,omitzero"`
}

func (r *readArguments) check() (offset, length int64, err error) {
	if r.JobID, err = checkJobID(r.JobID); err != nil {
		return 0, 0, err
	}
	if r.Path == "" {
		return 0, 0, jobs.Errorf(jobs.CodeInvalidRequest,
			`"path" is required: the name of a file of the job, or @stdout, @stderr or @result`)
	}
	length = defaultRead
	if r.Offset != nil {
		offset = *r.Offset
	}
	if r.Length != nil {
		length = *r.Length
	}
	if offset < 0 || length < 1 || length > maxRead {
		return 0, 0, jobs.Errorf(jobs.CodeInvalidRequest,
			`"offset" must be a whole number from 0, and "length" one from 1 to %d`, maxRead)
	}
	return offset, length, nil
}

// readFile is the tool read_file.
func (t *tools) readFile(ctx context.Context, request *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	var arguments readArguments
	err := decode(request.Params.Arguments, &arguments)
	var offset, length int64
	if err == nil {
		offset, length, err = arguments.check()
	}
	if err != nil {
		return refuseRead(err)
	}
	file, err := t.open(ctx, arguments.JobID, arguments.Path)
	if err != nil {
		return refuseRead(err)
	}
	defer file.Content.Close()
	mayBeImage := offset == 0 && arguments.Length == nil && isSmallImage(file.Name, file.Size)
	if mayBeImage {
		length = file.Size
	}
	if !callOf(ctx).acquire(ctx, min(length, file.Size)) {
		return refuseRead(jobs.Unavailable("too many files are read at once; repeat the call after a moment", nil))
	}
	content, err := readPart(file.Content, offset, length)
	if err != nil {
		return nil, fmt.Errorf("read a job's file: %w", err)
	}
	if mayBeImage && !isPNG(content) {
		content = content[:min(len(content), defaultRead)] // its name is the script's choice
	}
	return t.answerFile(ctx, arguments.JobID, file, offset, content)
}

// open opens a file of a job, or one of its texts.
func (t *tools) open(ctx context.Context, jobID, name string) (*File, error) {
	if name != stdoutPath && name != stderrPath && name != resultPath {
		file, err := t.service.Open(ctx, jobID, name)
		if jobs.CodeOf(err) == jobs.CodeNotFound {
			return nil, jobs.Errorf(jobs.CodeNotFound, "there is no such job or file, or it has expired; "+
				"get_job lists the files of a job")
		}
		return file, err
	}
	job, release, err := t.service.Get(ctx, jobID, 0)
	if err != nil {
		release()
		return nil, err
	}
	text, mediaType := string(job.Result), "application/json"
	switch name {
	case stdoutPath:
		text, mediaType = deref(job.Stdout), "text/plain"
	case stderrPath:
		text, mediaType = deref(job.Stderr), "text/plain"
	}
	return &File{
		Name: name, Size: int64(len(text)), MediaType: mediaType,
		Content: &released{strings.NewReader(text), release}, // the answer has a copy of the part that is read
	}, nil
}

// released is a reader of memory that Close releases.
type released struct {
	io.ReadSeeker
	release func()
}

// Close releases the memory.
func (r *released) Close() error {
	r.release()
	return nil
}

func readPart(from io.Reader, offset, length int64) ([]byte, error) {
	if seeker, ok := from.(io.Seeker); ok {
		if _, err := seeker.Seek(offset, io.SeekStart); err != nil {
			return nil, err
		}
	} else if _, err := io.CopyN(io.Discard, from, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(from, length))
}

// answerFile returns a part of a file: as text if it is one, as a picture if it is a whole PNG, otherwise as a link.
func (t *tools) answerFile(
	ctx context.Context, jobID string, file *File, offset int64, content []byte,
) (*mcp.CallToolResult, error) {
	output := readOutput{Name: file.Name, Size: file.Size, MediaType: file.MediaType, Offset: offset}
	result := &mcp.CallToolResult{}
	whole, skipped := wholeRunes(content)
	switch {
	case offset == 0 && int64(len(content)) == file.Size && isPNG(content):
		result.Content = append(result.Content, &mcp.ImageContent{Data: content, MIMEType: "image/png"})
	case utf8.Valid(whole) && !strings.ContainsRune(string(whole), 0):
		output.Offset, output.Text = offset+int64(skipped), string(whole)
		result.Content = append(result.Content, &mcp.TextContent{Text: output.Text})
		if end := output.Offset + int64(len(whole)); end < file.Size && len(whole) > 0 {
			output.NextOffset = &end
			result.Content = append(result.Content, &mcp.TextContent{Text: fmt.Sprintf(
				"bytes %d to %d of %d; the next part is at offset %d", output.Offset, end, file.Size, end)})
		}
	default:
		result.Content = append(result.Content, &mcp.TextContent{Text: fmt.Sprintf(
			"the file has %d bytes and is no text; "+
				`run_python can read it as a file: {"path": ..., "job_id": %q, "name": %q}`,
			file.Size, jobID, file.Name)})
		if output.URL = t.linkTo(ctx, jobID, file.Name); output.URL != "" {
			result.Content = append(result.Content, &mcp.ResourceLink{
				URI: output.URL, Name: file.Name, MIMEType: file.MediaType, Size: &file.Size,
			})
		}
	}
	return withStructured(result, output)
}

func refuseRead(err error) (*mcp.CallToolResult, error) {
	failure := failureOf(err)
	result := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: failure.text()}}, IsError: true}
	return withStructured(result, readOutput{Error: failure})
}
