package mcpapi

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
)

// decode decodes a tool's arguments into a pointer to a struct, strictly. Its errors have CodeInvalidRequest and are
// for a model, which corrects its call.
func decode(arguments []byte, into any) error {
	if len(bytes.TrimSpace(arguments)) == 0 {
		arguments = []byte("{}")
	}
	err := json.Unmarshal(arguments, into, json.RejectUnknownMembers(true))
	var semantic *json.SemanticError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &semantic):
		return jobs.Errorf(jobs.CodeInvalidRequest, "%s", faultOf(semantic, into))
	default:
		return jobs.Errorf(jobs.CodeInvalidRequest,
			"the arguments are not valid: a name is given twice, or a string has a lone surrogate")
	}
}

// faultOf describes an argument that has the wrong type or that there is not.
func faultOf(err *json.SemanticError, into any) string {
	place := strings.TrimPrefix(strings.ReplaceAll(string(err.JSONPointer), "/", "."), ".")
	if errors.Is(err.Err, json.ErrUnknownName) {
		if known := memberNames(reflect.TypeOf(into).Elem()); !strings.Contains(place, ".") {
			return jobs.AsError(jobs.Unknown("", "argument", place, known)).Message
		}
		return fmt.Sprintf("unknown argument %.100q; see the tool's input schema", place)
	}
	if place == "" {
		return "the arguments must be an object"
	}
	return fmt.Sprintf("argument %.100q must be %s, not %s", place, kindOfType(err.GoType), kindOfJSON(err.JSONKind))
}

// memberNames returns the names of the struct's members.
func memberNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

func kindOfType(t reflect.Type) string {
	if t == nil {
		return "another value"
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return "an array"
	default:
		return "an object"
	}
}

func kindOfJSON(kind jsontext.Kind) string {
	switch kind {
	case jsontext.KindString:
		return "a string"
	case jsontext.KindNumber:
		return "this number"
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindBeginArray:
		return "an array"
	case jsontext.KindNull:
		return "null"
	default:
		return "a boolean"
	}
}

// checkJobID returns the job's id in its usual form.
func checkJobID(id string) (string, error) {
	if id == "" {
		return "", jobs.Errorf(jobs.CodeInvalidRequest, `"job_id" is required: run_python returns it`)
	}
	parsed, ok := jobs.ParseID(id)
	if !ok {
		return "", jobs.Errorf(jobs.CodeInvalidRequest,
			`"job_id" must be the id of a job such as 01981f3e-7c1a-7000-8000-000000000001; run_python returns it`)
	}
	return parsed, nil
}
