package jobs

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Entry is how a job's script is run.
type Entry string

const (
	// EntryMain loads the script and calls its main(), whose return value is the result. It is the zero value: records
	// and tasks leave it out.
	EntryMain Entry = ""
	// EntryScript runs the script as a program: as __main__, with an exit code instead of a result.
	EntryScript Entry = "script"
	// EntryCell runs the script as a cell of a notebook: the result is the value of the last expression.
	EntryCell Entry = "cell"
)

// mainName is the name of EntryMain in requests.
const mainName = "main"

// maxArgv is the largest number of a script's arguments.
const maxArgv = 1000

// Known reports whether e is an entry of this version.
func (e Entry) Known() bool { return slices.Contains([]Entry{EntryMain, EntryScript, EntryCell}, e) }

func decodeEntry(value jsontext.Value) (Entry, error) {
	if value.Kind() == jsontext.KindString {
		name, err := jsontext.AppendUnquote(nil, value)
		switch entry := Entry(name); {
		case err != nil:
		case string(name) == mainName:
			return EntryMain, nil
		case entry != EntryMain && entry.Known():
			return entry, nil
		}
	}
	return "", Errorf(CodeInvalidRequest, `"entry" must be "main", "script" or "cell"`)
}

// checkEntry returns an error if the arguments do not suit the entry: main() takes an object, a script a list of
// strings, a cell none.
func (r *Request) checkEntry() error {
	if r.Inputs == nil || len(r.Inputs.Args) == 0 {
		return nil
	}
	args := r.Inputs.Args
	switch isList := args.Kind() == jsontext.KindBeginArray; {
	case r.Entry == EntryCell:
		return Errorf(CodeInvalidRequest, `"args" cannot be used with "entry": "cell"; set variables in the cell `+
			`itself, or pass data as "files", "stdin" or "env"`)
	case r.Entry == EntryScript && !isList:
		return Errorf(CodeInvalidRequest, `"args" must be an array of strings with "entry": "script" `+
			`(they become sys.argv[1:]), not an object; main()'s keyword arguments need "entry": "main"`)
	case r.Entry == EntryMain && isList:
		return Errorf(CodeInvalidRequest, `"args" must be an object of main()'s keyword arguments, not an array; `+
			`an array of strings (sys.argv[1:]) needs "entry": "script"`)
	case isList:
		return checkArgv(args)
	}
	return nil
}

// checkArgv returns an error unless the arguments of a script are at most maxArgv strings without NUL, which the
// kernel's programs cannot have either.
func checkArgv(args jsontext.Value) error {
	dec := jsontext.NewDecoder(bytes.NewReader(args))
	if _, err := dec.ReadToken(); err != nil {
		return notJSON(err, len(args))
	}
	n := 0
	for ; dec.PeekKind() != jsontext.KindEndArray; n++ {
		if n == maxArgv {
			return Errorf(CodeInvalidRequest, `"args" has more than %d strings; pass the rest as "stdin" or in "files"`,
				maxArgv)
		}
		token, err := dec.ReadToken()
		switch {
		case err != nil:
			return notJSON(err, len(args))
		case token.Kind() != jsontext.KindString:
			return Errorf(CodeInvalidRequest, `"args" must be an array of strings with "entry": "script"; `+
				`item %d is %s`, n, kindName(token.Kind()))
		case strings.ContainsRune(token.String(), 0):
			return Errorf(CodeInvalidRequest, `"args" contains a NUL character in item %d`, n)
		}
	}
	return nil
}
