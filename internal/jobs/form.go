package jobs

import (
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxFormBytes bounds a request body of multipart/form-data: the files and the rest of the request.
const MaxFormBytes = MaxFilesBytes + 4*mib

// FormPart is one part of a request in multipart/form-data.
type FormPart struct {
	// Name is the field's name, and FileName the path of a file; "" for none.
	Name, FileName string
	Content        []byte
}

// DecodeForm decodes a request in parts: "script", "stdin", "priority", "callback_url", "entry" and "environment" as
// text, "async", "args", "env", "labels", "limits" and "start_within" as JSON, any number of "files" with their path as
// file name, and "file_refs", the other files as JSON. It returns the same errors as DecodeRequest.
func DecodeForm(parts []FormPart) (Request, error) {
	var request Request
	var files []File
	seen := map[string]bool{}
	for _, part := range parts {
		if part.Name == "files" {
			if len(files) == MaxFiles {
				return Request{}, tooManyFiles()
			}
			files = append(files, File{Path: part.FileName, Content: part.Content})
			continue
		}
		if !slices.Contains(partNames, part.Name) {
			return Request{}, Unknown("", "part", part.Name, partNames)
		}
		if seen[part.Name] {
			return Request{}, Errorf(CodeInvalidRequest, "field %s is given twice", quoteName(part.Name))
		}
		seen[part.Name] = true
		value, err := formValue(part)
		if err == nil {
			err = request.setPart(part.Name, value)
		}
		if err != nil {
			return Request{}, err
		}
	}
	if !seen["script"] {
		return Request{}, Errorf(CodeInvalidRequest, `"script" is required`)
	}
	if err := request.checkEntry(); err != nil {
		return Request{}, err
	}
	return request, request.addFiles(files)
}

// setPart sets one field from a part.
func (r *Request) setPart(name string, value jsontext.Value) error {
	if name != fileRefs {
		return r.set(name, value)
	}
	files, err := decodeFiles(name, value)
	if err != nil {
		return err
	}
	return r.addFiles(files)
}

// addFiles adds files of a form to those that the request has, and returns an error if they cannot all be created.
func (r *Request) addFiles(files []File) error {
	if len(files) == 0 {
		return nil
	}
	if r.Inputs == nil {
		r.Inputs = &Inputs{}
	}
	r.Inputs.Files = append(files, r.Inputs.Files...)
	return checkFiles(r.Inputs.Files)
}

// fileRefs is the part of a form that has what JSON requests have in "files".
const fileRefs = "file_refs"

// partNames are the parts of a form.
var partNames = append(slices.Clone(fieldNames), fileRefs)

// jsonParts describes the required content of the JSON parts.
var jsonParts = map[string]string{
	"async": "true or false",
	"args": `a JSON object of main()'s keyword arguments, such as {"n": 5}, or an array of strings with the entry ` +
		`script`,
	"env":          `a JSON object of strings, such as {"MODE": "fast"}`,
	"labels":       `a JSON object of strings, such as {"customer": "42"}`,
	"start_within": "a number of seconds, such as 5",
	fileRefs:       `a JSON array, such as [{"path": "data.csv", "file_id": "f_..."}]`,
	"limits":       `a JSON object of numbers, such as {"wall_seconds": 2}`,
}

// formValue returns a part's content as JSON.
func formValue(part FormPart) (jsontext.Value, error) {
	if !utf8.Valid(part.Content) {
		return nil, Errorf(CodeInvalidRequest, "%s is not valid UTF-8 at byte %d", quoteName(part.Name),
			invalidUTF8At(part.Content))
	}
	switch part.Name {
	case "script", "stdin", "priority", "callback_url", "entry", "environment":
		quoted, err := jsontext.AppendQuote(nil, part.Content)
		if err != nil {
			return nil, Errorf(CodeInvalidRequest, "%s cannot be read", quoteName(part.Name))
		}
		return quoted, nil
	}
	content := withoutMark(part.Content)
	if fault := faultOfJSON(content); fault != "" {
		return nil, Errorf(CodeInvalidRequest, "%s must be %s; it %s", quoteName(part.Name),
			jsonParts[part.Name], fault)
	}
	value := jsontext.Value(content)
	if err := value.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true),
		jsontext.PreserveRawStrings(true)); err != nil {
		return nil, notJSON(err, len(value))
	}
	return value, nil
}
