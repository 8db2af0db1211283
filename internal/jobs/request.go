package jobs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// MaxScriptBytes bounds a script's length in bytes of UTF-8.
	MaxScriptBytes = 50 * kib
	// MaxRequestBytes bounds a request body of JSON: the inputs, and a script whose
	// bytes JSON may spell in six each (\u0041).
	MaxRequestBytes = 8 * mib
)

// Request is what a client asks for.
type Request struct {
	// Script is valid UTF-8 without NUL, at most MaxScriptBytes long.
	Script string
	// Async asks for an answer before the job has ended.
	Async bool
	// Priority is "" if the client did not choose.
	Priority Priority
	// Inputs is nil where the client gave nothing but a script.
	Inputs *Inputs
	// CallbackURL is where the end is posted to, "" for nowhere; see
	// Callback.URL. Whether this service may reach it is not checked here.
	CallbackURL string
	// StartWithin is the start deadline, from acceptance; 0 leaves it to the server.
	StartWithin time.Duration

	// What follows is not in the body.

	// IdempotencyKey is the client's own, "" for none; Fingerprint stands for what
	// it came with.
	IdempotencyKey, Fingerprint string
	// Stored, if not nil, is called when the job was stored or refused: nobody
	// holds the inputs for longer. It may be called more than once.
	Stored func()
}

// DecodeRequest reads a request body, strictly: anything that it does not
// understand is refused by name, so that a misspelt field is never ignored.
// It fails with CodeInvalidRequest or CodeScriptTooLarge, and its messages
// never contain the script.
func DecodeRequest(body []byte) (Request, *Error) {
	body = withoutMark(body)
	if fault := faultOfJSON(body); fault != "" {
		return Request{}, Errorf(CodeInvalidRequest, `the body %s; it must be a JSON object with "script"`, fault)
	}
	// From here on the grammar holds; what is left is what JSON's grammar
	// leaves open. Lone surrogates pass here to be named with their field.
	dec := jsontext.NewDecoder(bytes.NewReader(body), lenient)
	if dec.PeekKind() != jsontext.KindBeginObject {
		return Request{}, Errorf(CodeInvalidRequest, "the body must be a JSON object, not %s", kindName(dec.PeekKind()))
	}
	var request Request
	seen := map[string]bool{}
	if err := eachField(dec, func(name string, value jsontext.Value) *Error {
		if seen[name] {
			return Errorf(CodeInvalidRequest, "field %s is given twice", quoteName(name))
		}
		seen[name] = true
		return request.set(name, value)
	}); err != nil {
		return Request{}, err
	}
	if !seen["script"] {
		return Request{}, Errorf(CodeInvalidRequest, `"script" is required`)
	}
	return request, nil
}

// fieldNames are the fields of a request, and the parts of a form.
var fieldNames = []string{"script", "args", "stdin", "env", "files", "limits", "async", "priority", "callback_url", "start_within"}

// set takes one field of the body over.
func (r *Request) set(name string, value jsontext.Value) (err *Error) {
	switch name {
	case "script":
		r.Script, err = decodeScript(value)
	case "async":
		if k := value.Kind(); k != jsontext.KindTrue && k != jsontext.KindFalse {
			return Errorf(CodeInvalidRequest, `"async" must be true or false, not %s`, kindName(k))
		}
		r.Async = value.Kind() == jsontext.KindTrue
	case "priority":
		r.Priority, err = decodePriority(value)
	case "callback_url":
		r.CallbackURL, err = decodeCallbackURL(value)
	case "start_within":
		r.StartWithin, err = decodeStartWithin(value)
	default:
		if r.Inputs == nil {
			r.Inputs = &Inputs{}
		}
		return r.Inputs.set(name, value)
	}
	return err
}

func decodePriority(value jsontext.Value) (Priority, *Error) {
	if value.Kind() == jsontext.KindString {
		name, err := jsontext.AppendUnquote(nil, value)
		if p := Priority(name); err == nil && slices.Contains(Priorities(), p) {
			return p, nil
		}
	}
	return "", Errorf(CodeInvalidRequest, `"priority" must be "high", "default" or "low"`)
}

// leastStartWithin is the shortest start deadline that a request may name.
const leastStartWithin = time.Millisecond

func decodeStartWithin(value jsontext.Value) (time.Duration, *Error) {
	if value.Kind() != jsontext.KindNumber {
		return 0, Errorf(CodeInvalidRequest, `"start_within" must be a number of seconds, not %s`, kindName(value.Kind()))
	}
	asked := decodeNumber(value)
	if asked < leastStartWithin.Seconds() {
		return 0, Errorf(CodeInvalidRequest, `"start_within" must be a number of seconds of at least %s`, plainNumber(leastStartWithin.Seconds()))
	}
	return inDuration(asked), nil
}

// CheckStartWithin refuses, by name, a start deadline above the server's.
func (r *Request) CheckStartWithin(server time.Duration) *Error {
	if r.StartWithin <= server {
		return nil
	}
	return Errorf(CodeInvalidRequest, `"start_within" is %s, at most %s is allowed here`,
		plainNumber(r.StartWithin.Seconds()), plainNumber(server.Seconds()))
}

func decodeScript(value jsontext.Value) (string, *Error) {
	script, err := decodeText("script", value)
	if err != nil {
		return "", err
	}
	return script, checkScript(script)
}

// checkScript refuses a script that is too long or that Python could not read.
func checkScript(script string) *Error {
	if len(script) > MaxScriptBytes {
		return scriptTooLarge(fmt.Sprintf(`"script" has %d bytes of UTF-8, at most %d are allowed`, len(script), MaxScriptBytes))
	}
	return checkNoNUL("script", script)
}

func checkNoNUL(name, text string) *Error {
	if at := strings.IndexByte(text, 0); at >= 0 {
		return Errorf(CodeInvalidRequest, "%s contains a NUL character at byte %d", quoteName(name), at)
	}
	return nil
}

// decodeText reads a string that is whole Unicode.
func decodeText(name string, value jsontext.Value) (string, *Error) {
	if value.Kind() != jsontext.KindString {
		return "", Errorf(CodeInvalidRequest, `%s must be a string, not %s`, quoteName(name), kindName(value.Kind()))
	}
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return "", Errorf(CodeInvalidRequest, `%s contains a lone surrogate (\ud800 to \udfff without its other half)`, quoteName(name))
	}
	return string(text), nil
}

// lenient leaves duplicate names and lone surrogates to DecodeRequest, which
// can say more about them than the parser.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// withoutMark leaves out a byte order mark, which RFC 8259 (8.1) lets a parser ignore.
func withoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\ufeff")) }

// faultOfJSON says what is wrong with a text that must be exactly one JSON value in
// UTF-8, as what follows its name in a sentence; "" if nothing is.
func faultOfJSON(text []byte) string {
	if len(bytes.TrimLeft(text, " \t\r\n")) == 0 {
		return "is empty"
	}
	if !utf8.Valid(text) {
		return fmt.Sprintf("is not valid UTF-8 at byte %d", invalidUTF8At(text))
	}
	dec := jsontext.NewDecoder(bytes.NewReader(text), lenient)
	if err := dec.SkipValue(); err != nil {
		return faultOfSyntax(err, len(text))
	}
	end := dec.InputOffset()
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return fmt.Sprintf("is not valid JSON: more follows after its end at byte %d", end)
	}
	return ""
}

// faultOfSyntax words the parser's complaint, which names at most a few characters
// of the text.
func faultOfSyntax(err error, size int) string {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("is not valid JSON: it ends too early, at byte %d", size)
	case errors.As(err, &syntax) && syntax.Err != nil:
		return fmt.Sprintf("is not valid JSON: %v at byte %d", syntax.Err, syntax.ByteOffset)
	default:
		return "is not valid JSON"
	}
}

func notJSON(err error, size int) *Error {
	return Errorf(CodeInvalidRequest, "the body %s", faultOfSyntax(err, size))
}

// eachField calls f for every field of the object that dec is at, in order,
// until f fails.
func eachField(dec *jsontext.Decoder, f func(name string, value jsontext.Value) *Error) *Error {
	if _, err := dec.ReadToken(); err != nil {
		return notJSON(err, int(dec.InputOffset()))
	}
	for dec.PeekKind() != jsontext.KindEndObject {
		token, err := dec.ReadToken()
		if err != nil {
			return notJSON(err, int(dec.InputOffset()))
		}
		name := token.String() // a copy: the token dies with the next read
		value, err := dec.ReadValue()
		if err != nil {
			return notJSON(err, int(dec.InputOffset()))
		}
		if err := f(name, value); err != nil {
			return err
		}
	}
	return nil
}

func invalidUTF8At(body []byte) int {
	at := 0
	for at < len(body) {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

func kindName(k jsontext.Kind) string {
	switch k {
	case jsontext.KindNull:
		return "null"
	case jsontext.KindTrue, jsontext.KindFalse:
		return "a boolean"
	case jsontext.KindString:
		return "a string"
	case jsontext.KindNumber:
		return "a number"
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindBeginArray:
		return "an array"
	default:
		return fmt.Sprintf("%q", byte(k))
	}
}
