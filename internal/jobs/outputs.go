package jobs

import (
	"path"
	"strconv"
	"strings"
	"unicode/utf8"
)

// OutputFile is a file that a job left, or a figure.
type OutputFile struct {
	// Name is the sanitized path, relative to outputs/ or to the working directory: CheckPath accepts it and it
	// contains no %.
	Name      string `json:"name"`
	Size      int64  `json:"size"`
	MediaType string `json:"media_type"`
	// SHA256 is the hash of the content, in hexadecimal.
	SHA256 string `json:"sha256"`
	// Key is the file's key in the file storage.
	Key string `json:"key"`
	// Content is set until the file has been stored.
	Content []byte `json:"-"`
}

// OmittedFile is a file of a job that exceeded a limit.
type OmittedFile struct {
	// Name is sanitized as that of an OutputFile.
	Name string `json:"name"`
	// Size is in bytes; nil for a file that was never created: a figure for which there was no time left.
	Size *int64 `json:"size"`
	// Limit is the exceeded limit.
	Limit LimitHit `json:"limit"`
}

// Names sanitizes the names of a job's files and makes them unique. The zero value is ready to use.
type Names struct {
	used map[string]bool
}

// Sanitize returns a name that CheckPath accepts and that it has not returned before; raw itself if possible.
func (n *Names) Sanitize(raw string) string {
	if n.used == nil {
		n.used = map[string]bool{}
	}
	// Only once: a script may use a name that takes long, many times.
	safe := sanitizePath(raw)
	name := safe
	for again := 2; n.used[strings.ToLower(name)]; again++ {
		suffix := "~" + strconv.Itoa(again)
		name = cut(safe, MaxPathBytes-len(suffix)) + suffix
	}
	n.used[strings.ToLower(name)] = true
	return name
}

func sanitizePath(raw string) string {
	clean := strings.Map(func(c rune) rune {
		if isControl(c) || c == '\\' || c == '%' || bidirectional(c) {
			return '_'
		}
		return c
	}, strings.ToValidUTF8(raw, "_"))
	parts := strings.Split(clean, "/")
	if len(parts) > MaxPathDepth {
		parts = append(parts[:MaxPathDepth-1], strings.Join(parts[MaxPathDepth-1:], "_"))
	}
	for i, part := range parts {
		if strings.Trim(part, ".") == "" || deviceName.MatchString(part) {
			parts[i] = "_" + part
		}
	}
	name := cut(strings.Join(parts, "/"), MaxPathBytes)
	if CheckPath(name) != nil {
		return "file" // possible after cutting a name
	}
	return name
}

// bidirectional reports whether a character can make a name look like another one.
func bidirectional(c rune) bool {
	return c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 || c == 0x200e || c == 0x200f
}

// cut shortens a name so that it has no more than most bytes, at a character boundary and without an empty last part.
func cut(name string, most int) string {
	if len(name) <= most {
		return name
	}
	for !utf8.RuneStart(name[most]) {
		most--
	}
	name = strings.TrimRight(name[:most], "/.")
	if name == "" {
		return "_"
	}
	return name
}

// mediaTypes are the types of the most common files. The list is fixed, since those of machines differ.
var mediaTypes = map[string]string{
	".csv": "text/csv", ".tsv": "text/tab-separated-values", ".txt": "text/plain", ".log": "text/plain",
	".md":   "text/markdown",
	".html": "text/html", ".xml": "application/xml", ".json": "application/json", ".jsonl": "application/jsonl",
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".svg": "image/svg+xml",
	".webp": "image/webp",
	".pdf":  "application/pdf", ".zip": "application/zip", ".gz": "application/gzip", ".tar": "application/x-tar",
	".parquet": "application/vnd.apache.parquet", ".npy": "application/octet-stream",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

// MediaType guesses a file's type from its name; the script may have written any content.
func MediaType(name string) string {
	if known, ok := mediaTypes[strings.ToLower(path.Ext(name))]; ok {
		return known
	}
	return "application/octet-stream"
}
