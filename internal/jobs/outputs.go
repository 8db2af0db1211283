package jobs

import (
	"path"
	"strconv"
	"strings"
	"unicode/utf8"
)

// OutputFile is a file that a job left in its folder outputs/.
type OutputFile struct {
	// Name is its path below outputs/, made safe: it meets CheckPath and has no %.
	Name      string `json:"name"`
	Size      int64  `json:"size"`
	MediaType string `json:"media_type"`
	// SHA256 is the content's, in hexadecimal.
	SHA256 string `json:"sha256"`
	// Key is where the file is kept.
	Key string `json:"key"`
	// Content is there until it has been stored.
	Content []byte `json:"-"`
}

// OmittedFile is a file that a job left and that did not fit into a limit.
type OmittedFile struct {
	// Name is made safe, as that of an OutputFile.
	Name string `json:"name"`
	// Size is in bytes; nil where the file was never made: a figure for which the
	// time was over.
	Size *int64 `json:"size"`
	// Limit is the limit that it did not fit into.
	Limit LimitHit `json:"limit"`
}

// Names makes the names that a job gave its files safe, and different from each
// other. The zero value is ready.
type Names struct {
	given map[string]bool
}

// Safe gives a name that meets CheckPath, and that it has not given before; the
// same as it was where that does.
func (n *Names) Safe(raw string) string {
	if n.given == nil {
		n.given = map[string]bool{}
	}
	// Once: a name can be made to take long, and then be given many times.
	safe := safePath(raw)
	name := safe
	for again := 2; n.given[strings.ToLower(name)]; again++ {
		suffix := "~" + strconv.Itoa(again)
		name = cut(safe, MaxPathBytes-len(suffix)) + suffix
	}
	n.given[strings.ToLower(name)] = true
	return name
}

func safePath(raw string) string {
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
		return "file" // what a cut can make of a name
	}
	return name
}

// bidirectional characters make a name look like another one.
func bidirectional(c rune) bool {
	return c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 || c == 0x200e || c == 0x200f
}

// cut keeps the beginning of a name, whole characters of it, and no part that a
// cut left empty.
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

// mediaTypes are those of the files that scripts leave most. A fixed list: what
// the machine's own says would differ from one to the next.
var mediaTypes = map[string]string{
	".csv": "text/csv", ".tsv": "text/tab-separated-values", ".txt": "text/plain", ".log": "text/plain", ".md": "text/markdown",
	".html": "text/html", ".xml": "application/xml", ".json": "application/json", ".jsonl": "application/jsonl",
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".svg": "image/svg+xml", ".webp": "image/webp",
	".pdf": "application/pdf", ".zip": "application/zip", ".gz": "application/gzip", ".tar": "application/x-tar",
	".parquet": "application/vnd.apache.parquet", ".npy": "application/octet-stream",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

// MediaType tells a file's type by its name; it is a guess, for the content is
// the script's.
func MediaType(name string) string {
	if known, ok := mediaTypes[strings.ToLower(path.Ext(name))]; ok {
		return known
	}
	return "application/octet-stream"
}
