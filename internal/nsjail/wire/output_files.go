package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"

	"cellblock/internal/jobs"
)

// outputFiles are the files that came on the channel.
type outputFiles struct {
	list []jobs.OutputFile
	// safe maps the names that the runner sent to those in list.
	safe map[string]string
}

func (f *outputFiles) add(sent string, file jobs.OutputFile) {
	if f.safe == nil {
		f.safe = map[string]string{}
	}
	if _, twice := f.safe[sent]; !twice {
		f.safe[sent] = file.Name
	}
	f.list = append(f.list, file)
}

// readOutputs reads the frames of files and the header of the next frame. The script chooses names
// and contents: names are made safe and never opened, and a forged frame can only add a file to its
// own job.
func readOutputs(r io.Reader, limits jobs.Limits) (files outputFiles, kind byte, length int64, err error) {
	var names jobs.Names
	left := limits.OutputFilesBytes
	for {
		kind, length, err = readHeader(r)
		if err != nil || kind != frameOutput {
			return files, kind, length, err
		}
		if len(files.list) == limits.OutputFiles {
			return outputFiles{}, 0, 0, ErrTooManyFiles
		}
		name, size, err := readOutputName(r, length)
		if err != nil {
			return outputFiles{}, 0, 0, err
		}
		if left -= size; left < 0 {
			return outputFiles{}, 0, 0, ErrFilesTooLarge
		}
		content := make([]byte, size)
		if _, err := io.ReadFull(r, content); err != nil {
			return outputFiles{}, 0, 0, fmt.Errorf("%w: cut short", ErrMalformed)
		}
		sum := sha256.Sum256(content)
		safe := names.Sanitize(name)
		files.add(name, jobs.OutputFile{
			Name: safe, Size: size, MediaType: jobs.MediaType(safe), SHA256: hex.EncodeToString(sum[:]),
			Content: content,
		})
	}
}

// readOutputName reads the name at the start of a frame and returns the size of the content.
func readOutputName(r io.Reader, length int64) (name string, size int64, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", 0, fmt.Errorf("%w: cut short", ErrMalformed)
	}
	bytes := make([]byte, binary.BigEndian.Uint16(head[:]))
	if size = length - int64(len(head)+len(bytes)); size < 0 {
		return "", 0, fmt.Errorf("%w: a name longer than its frame", ErrMalformed)
	}
	if _, err := io.ReadFull(r, bytes); err != nil {
		return "", 0, fmt.Errorf("%w: cut short", ErrMalformed)
	}
	return string(bytes), size, nil
}
