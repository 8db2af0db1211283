package jobs

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds on the input files of a job.
const (
	// MaxFiles bounds the number of files, and MaxFilesBytes their total size.
	MaxFiles      = 64
	MaxFilesBytes = 16 * mib
	// MaxPathBytes bounds a path, and MaxPathDepth its parts.
	MaxPathBytes = 255
	MaxPathDepth = 16
)

// File is an input file of a job.
type File struct {
	// Path is relative to the working directory, with / as separator. CheckPath accepts it.
	Path    string
	Content []byte
	// Ref is the file whose content it gets when the job is accepted; zero if Content is set.
	Ref FileRef
}

// deviceName matches names that some systems reserve for devices in any folder. Linux does not, but users may download
// such files to other systems.
var deviceName = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?$`)

// CheckPath returns an error that describes what is wrong with a path for a job's file; nil if it is relative, clean,
// valid UTF-8 without control characters, and within the bounds.
func CheckPath(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("it is empty")
	case len(name) > MaxPathBytes:
		return fmt.Errorf("it has %d bytes, at most %d are allowed", len(name), MaxPathBytes)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, isControl):
		return fmt.Errorf("it has a control character")
	case strings.HasPrefix(name, "/"):
		return fmt.Errorf("it is absolute")
	case strings.Contains(name, `\`):
		return fmt.Errorf(`it has a backslash; folders are separated by /`)
	}
	parts := strings.Split(name, "/")
	if len(parts) > MaxPathDepth {
		return fmt.Errorf("it has more than %d parts", MaxPathDepth)
	}
	for _, part := range parts {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("it has an empty part, or . or .. for one")
		}
		if deviceName.MatchString(part) {
			return fmt.Errorf("it has the name of a device")
		}
	}
	return nil
}

func isControl(c rune) bool { return c < ' ' || c >= 0x7f && c < 0xa0 || c == utf8.RuneError }

// decodeFiles decodes an array of {path, content | content_base64 | job_id and name | file_id}.
// name is that of the field or part.
func decodeFiles(name string, value jsontext.Value) ([]File, error) {
	if value.Kind() != jsontext.KindBeginArray {
		return nil, Errorf(CodeInvalidRequest, `%s must be an array, not %s`, quoteName(name), kindName(value.Kind()))
	}
	dec := jsontext.NewDecoder(bytes.NewReader(value), lenient)
	if _, err := dec.ReadToken(); err != nil {
		return nil, notJSON(err, len(value))
	}
	var files []File
	for dec.PeekKind() != jsontext.KindEndArray {
		if len(files) == MaxFiles {
			return nil, tooManyFiles()
		}
		object, err := dec.ReadValue()
		if err != nil {
			return nil, notJSON(err, len(value))
		}
		file, invalid := decodeFile(fmt.Sprintf("%s[%d]", name, len(files)), object)
		if invalid != nil {
			return nil, invalid
		}
		files = append(files, file)
	}
	return files, checkFiles(files)
}

// fileNames are the fields of a file.
var fileNames = []string{"path", "content", "content_base64", "job_id", "name", "file_id"}

func decodeFile(name string, object jsontext.Value) (File, error) {
	var file File
	sources := 0
	err := eachMember(name, object, func(member string, value jsontext.Value) error {
		if !slices.Contains(fileNames, member) {
			return Unknown(name, "field", member, fileNames)
		}
		text, err := decodeText(name+"."+member, value)
		if err != nil {
			return err
		}
		if member != "path" && member != "name" {
			sources++
		}
		return file.set(name, member, text)
	})
	switch {
	case err != nil:
	case sources != 1 || file.Ref.JobID != "" && file.Ref.Name == "":
		err = Errorf(CodeInvalidRequest,
			`%s needs one of "content", "content_base64", "job_id" with "name", and "file_id"`, quoteName(name))
	case file.Ref.Name != "" && file.Ref.JobID == "":
		err = Errorf(CodeInvalidRequest,
			`"%s.name" is the name of a file of "job_id"; the path for the script is "path"`, name)
	}
	return file, err
}

// set sets one field. name is the name of the file in the body.
func (f *File) set(name, member, text string) (err error) {
	switch member {
	case "path":
		f.Path = text
		return nil
	case "content":
		f.Content = []byte(text)
		return nil
	case "content_base64":
		f.Content, err = decodeBase64(name, text)
		return err
	case "job_id":
		f.Ref.JobID = text
	case "name":
		f.Ref.Name = text
	case "file_id":
		f.Ref.FileID = text
	}
	if text == "" {
		err = Errorf(CodeInvalidRequest, `"%s.%s" is empty`, name, member)
	}
	return err
}

func decodeBase64(name, text string) ([]byte, error) {
	content, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, Errorf(CodeInvalidRequest, `"%s.content_base64" is not base64 with padding`, name)
	}
	return content, nil
}

// ownFiles are the files that the runner creates in the working directory.
var ownFiles = map[string]bool{"script.py": true}

// badPath returns the error for a path that CheckPath rejected, and suggests a similar valid one if there is one.
func badPath(name string, why error) error {
	sentence := fmt.Sprintf(`"files": the path %s cannot be used: %v`, quoteName(name), why)
	if name == "" {
		sentence += "; a file needs one (in a form it is the part's file name; with curl: -F files=@data.csv)"
	} else if relative := path.Base(strings.ReplaceAll(name, `\`, "/")); CheckPath(relative) == nil {
		sentence += fmt.Sprintf(
			"; files are placed in the script's working directory: give it as %q, and have the script open that",
			relative)
	}
	return Errorf(CodeInvalidRequest, "%s", sentence)
}

// checkFiles returns an error for files that cannot all be created.
func checkFiles(files []File) error {
	if len(files) > MaxFiles {
		return tooManyFiles()
	}
	size, names, folders := 0, map[string]bool{}, map[string]bool{}
	for _, file := range files {
		if err := CheckPath(file.Path); err != nil {
			return badPath(file.Path, err)
		}
		if names[file.Path] {
			return Errorf(CodeInvalidRequest, `"files": the path %s is given twice`, quoteName(file.Path))
		}
		if ownFiles[path.Clean(file.Path)] {
			return Errorf(CodeInvalidRequest, `"files": %s is where the script itself is`, quoteName(file.Path))
		}
		names[file.Path] = true
		for folder := path.Dir(file.Path); folder != "."; folder = path.Dir(folder) {
			folders[folder] = true
		}
		size += len(file.Content)
	}
	for folder := range folders {
		if names[folder] || ownFiles[folder] {
			return Errorf(CodeInvalidRequest, `"files": %s is a file and a folder`, quoteName(folder))
		}
	}
	return CheckFilesSize(size)
}

// CheckFilesSize returns an error for files of a job that are together too large.
func CheckFilesSize(size int) error {
	if size > MaxFilesBytes {
		return tooLarge("files", size, MaxFilesBytes)
	}
	return nil
}
