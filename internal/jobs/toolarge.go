package jobs

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// partBounds are the bounds of the parts of a request that can be large, in bytes.
var partBounds = map[string]int{
	"script": MaxScriptBytes, "args": MaxArgsBytes, "stdin": MaxStdinBytes, "env": MaxEnvBytes, "files": MaxFilesBytes,
}

// tooLarge returns the error for a part of a request that exceeds its bound in bytes.
func tooLarge(name string, size, most int) error {
	return &Error{
		Code:    CodeInputTooLarge,
		Message: fmt.Sprintf("%s has %d bytes, at most %d are allowed", quoteName(name), size, most),
		Limit:   &LimitHit{Name: name, Value: float64(most), Unit: "bytes"},
	}
}

func scriptTooLarge(message string) error {
	return &Error{
		Code: CodeScriptTooLarge, Message: message,
		Limit: &LimitHit{Name: "script", Value: MaxScriptBytes, Unit: "bytes"},
	}
}

func tooManyFiles() error {
	return &Error{
		Code: CodeInputTooLarge, Message: fmt.Sprintf(`"files" has more than %d files; pack some of them`, MaxFiles),
		Limit: &LimitHit{Name: "files", Value: MaxFiles, Unit: "count"},
	}
}

// JSONTooLarge returns the error for a JSON body of more than MaxRequestBytes that starts with beginning:
// CodeScriptTooLarge if the script makes it large, else CodeInputTooLarge.
func JSONTooLarge(beginning []byte) error {
	return bodyTooLarge(MaxRequestBytes, fieldSizes(beginning),
		fmt.Sprintf("send large files as multipart/form-data, which may have %d bytes", MaxFormBytes))
}

// FormTooLarge is JSONTooLarge for a form of more than MaxFormBytes that starts with these parts.
func FormTooLarge(parts []FormPart) error {
	sizes := map[string]int{}
	for _, part := range parts {
		sizes[part.Name] += len(part.Content)
	}
	return bodyTooLarge(MaxFormBytes, sizes, fmt.Sprintf("all files together may have %d bytes", MaxFilesBytes))
}

// BatchTooLarge returns the error for a body of more than MaxBatchBytes.
func BatchTooLarge() error {
	return &Error{
		Code:    CodeInputTooLarge,
		Message: fmt.Sprintf("the body has more than %d bytes; make several batches of it", MaxBatchBytes),
		Limit:   &LimitHit{Name: "body", Value: MaxBatchBytes, Unit: "bytes"},
	}
}

// BatchFilesTooLarge returns the error for a batch whose jobs, with the files that they refer to, have together more
// than MaxBatchBytes.
func BatchFilesTooLarge() error {
	return &Error{
		Code: CodeInputTooLarge,
		Message: fmt.Sprintf("the batch has more than %d bytes with the files that its jobs refer to, each as often "+
			"as jobs do; make several batches of it", MaxBatchBytes),
		Limit: &LimitHit{Name: "files", Value: MaxBatchBytes, Unit: "bytes"},
	}
}

// bodyTooLarge returns the error for a body of more than most bytes, which names its largest part. aboutFiles is the
// advice if that is "files".
func bodyTooLarge(most int, sizes map[string]int, aboutFiles string) error {
	name, size := largestPart(sizes)
	sentence := fmt.Sprintf("the body has more than %d bytes", most)
	if size > most/8 { // else no single part makes the body large
		sentence += "; the largest part is " + quoteName(name)
	}
	switch bound, known := partBounds[name]; {
	case size <= most/8:
	case !known:
		sentence += ", which a request does not have"
	case name == "files":
		sentence += ": " + aboutFiles
	case name == "script":
		return scriptTooLarge(fmt.Sprintf("%s, which may have %d", sentence, bound))
	default:
		sentence += fmt.Sprintf(", which may have %d", bound)
	}
	return &Error{
		Code: CodeInputTooLarge, Message: sentence,
		Limit: &LimitHit{Name: "body", Value: float64(most), Unit: "bytes"},
	}
}

func largestPart(sizes map[string]int) (name string, size int) {
	for each, bytes := range sizes {
		if bytes > size || bytes == size && each < name {
			name, size = each, bytes
		}
	}
	return name, size
}

// fieldSizes returns the size in bytes of each field of an object, which may be cut off.
func fieldSizes(object []byte) map[string]int {
	sizes := map[string]int{}
	dec := jsontext.NewDecoder(bytes.NewReader(withoutMark(object)), lenient)
	if token, err := dec.ReadToken(); err != nil || token.Kind() != jsontext.KindBeginObject {
		return sizes
	}
	for dec.PeekKind() == jsontext.KindString {
		token, err := dec.ReadToken()
		if err != nil {
			break
		}
		name, from := token.String(), dec.InputOffset()
		if err := dec.SkipValue(); err != nil {
			sizes[name] += len(object) - int(from) // it is cut off here
			break
		}
		sizes[name] += int(dec.InputOffset() - from)
	}
	return sizes
}
