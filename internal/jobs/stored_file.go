package jobs

import (
	"crypto/rand"
	"fmt"
	"mime"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxStoredFileBytes bounds a stored file: it is that of all files of a job, so that each can be an input.
const MaxStoredFileBytes = MaxFilesBytes

// StoredFile is a file that a client uploaded once, for any number of jobs.
type StoredFile struct {
	// ID is made by NewFileID.
	ID string `json:"id"`
	// Tenant is the owner.
	Tenant Tenant `json:"tenant,omitzero"`
	// Name is the file's name in downloads: CheckPath accepts it.
	Name      string `json:"name"`
	MediaType string `json:"media_type"`
	Size      int64  `json:"size"`
	// SHA256 is the hash of the content, in hexadecimal.
	SHA256 string `json:"sha256"`
	// Key is the file's key in the file storage.
	Key string `json:"key"`
	// ExpiresAt is when the file can no longer be used, from Redis's clock. Only an upload returns it.
	ExpiresAt time.Time `json:"-"`
}

// Upload describes a file that a client uploads.
type Upload struct {
	// Name and MediaType are those of StoredFile. An empty name becomes the file's id.
	Name, MediaType string
	// Size is the number of bytes that the client announced; -1 for none. The upload may be shorter.
	Size int64
}

// NewFileID returns a new id, which cannot be guessed: it has 128 random bits at least.
func NewFileID() string { return "f_" + strings.ToLower(rand.Text()) }

var fileID = regexp.MustCompile(`^f_[a-z2-7]{26}$`)

// ParseFileID converts the id of a stored file to lower case, and reports whether s has the form of one.
func ParseFileID(s string) (id string, ok bool) {
	id = strings.ToLower(s)
	return id, fileID.MatchString(id)
}

// FileRef refers to a file that the service has already. The zero value refers to none.
type FileRef struct {
	// JobID and Name are a file that an earlier job left.
	JobID, Name string
	// FileID is a stored file.
	FileID string
}

// Refers reports whether the inputs refer to a file that the service has already. in may be nil.
func (in *Inputs) Refers() bool {
	if in == nil {
		return false
	}
	for _, file := range in.Files {
		if file.Ref != (FileRef{}) {
			return true
		}
	}
	return false
}

// MissingFile returns the error for an input file that refers to one that cannot be read. what describes that one and
// what is wrong with it, as the rest of a sentence.
func MissingFile(path, what string) *Error {
	return Errorf(CodeFileNotFound, `"files": %s refers to %s`, quoteName(path), what)
}

// CheckUpload returns an error with CodeInvalidRequest for a name or a media type that a file cannot have.
func CheckUpload(upload Upload) error {
	if upload.Name != "" {
		if err := CheckPath(upload.Name); err != nil {
			return Errorf(CodeInvalidRequest, "the file's name %s cannot be used: %v", quoteName(upload.Name), err)
		}
	}
	_, _, err := mime.ParseMediaType(upload.MediaType)
	if err != nil || len(upload.MediaType) > MaxPathBytes || !utf8.ValidString(upload.MediaType) {
		return Errorf(CodeInvalidRequest, "the Content-Type %s is no media type, such as text/csv",
			quoteName(upload.MediaType))
	}
	return nil
}

// StoredFileTooLarge returns the error for an upload of more than MaxStoredFileBytes.
func StoredFileTooLarge() error {
	return &Error{
		Code: CodeInputTooLarge,
		Message: fmt.Sprintf("a stored file may have at most %d bytes; compress it, or upload it in pieces",
			MaxStoredFileBytes),
		Limit: &LimitHit{Name: "file", Value: MaxStoredFileBytes, Unit: "bytes"},
	}
}
