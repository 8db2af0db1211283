package jobs

import (
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxFormBytes bounds a request body of multipart/form-data: the files, and what
// else a request has.
const MaxFormBytes = MaxFilesBytes + 4*mib

// FormPart is one part of a request in multipart/form-data.
type FormPart struct {
	// Name is the field's, and FileName the path of a file; "" for none.
	Name, FileName string
	Content        []byte
}

// DecodeForm reads a request whose fields came as parts: "script", "stdin",
// "priority" and "callback_url" as text, "async", "args", "env" and "limits" as
// JSON, and any number of "files" with their path as file name. It fails as DecodeRequest does.
func DecodeForm(parts []FormPart) (Request, *Error) {
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
		if seen[part.Name] {
			return Request{}, Errorf(CodeInvalidRequest, "field %s is given twice", quoteName(part.Name))
		}
		seen[part.Name] = true
		value, err := formValue(part)
		if err == nil {
			err = request.set(part.Name, value)
		}
		if err != nil {
			return Request{}, err
		}
	}
	if !seen["script"] {
		return Request{}, Errorf(CodeInvalidRequest, `"script" is required`)
	}
	if len(files) > 0 {
		if request.Inputs == nil {
			request.Inputs = &Inputs{}
		}
		request.Inputs.Files = files
	}
	return request, checkFiles(files)
}

// formValue gives a part as the JSON that it stands for.
func formValue(part FormPart) (jsontext.Value, *Error) {
	if !utf8.Valid(part.Content) {
		return nil, Errorf(CodeInvalidRequest, "%s is not valid UTF-8 at byte %d", quoteName(part.Name), invalidUTF8At(part.Content))
	}
	switch part.Name {
	case "script", "stdin", "priority", "callback_url":
		quoted, err := jsontext.AppendQuote(nil, part.Content)
		if err != nil {
			return nil, Errorf(CodeInvalidRequest, "%s cannot be read", quoteName(part.Name))
		}
		return quoted, nil
	}
	if err := checkJSON(part.Content); err != nil {
		return nil, Errorf(err.Code, "%s: %s", quoteName(part.Name), err.Message)
	}
	value := jsontext.Value(part.Content)
	if err := value.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true)); err != nil {
		return nil, notJSON(err, len(value))
	}
	return value, nil
}
