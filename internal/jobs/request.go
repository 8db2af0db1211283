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
	// MaxRequestBytes bounds a JSON request body: the inputs, and a script each byte of which may be six bytes of JSON
	// (\u0041).
	MaxRequestBytes = 8 * mib
)

// Request is a client's request for a job.
type Request struct {
	// Script is valid UTF-8 without NUL, at most MaxScriptBytes long.
	Script string
	// Entry is how the script is run.
	Entry Entry
	// Async asks for a response before the job has ended.
	Async bool
	// Priority is "" if the client did not choose one.
	Priority Priority
	// Inputs is nil if the request has only a script.
	Inputs *Inputs
	// Environment is "" if the client did not choose one.
	Environment string
	// WebhookURL is the URL to which the job's end is posted, "" for none; see Webhook.URL. Whether this service may
	// connect to it is not checked here.
	WebhookURL string
	// StartWithin is the start deadline, from acceptance; 0 means the server's.
	StartWithin time.Duration

	// The following fields are not in the body.

	// ReceivedAt is when the request came; zero means now.
	ReceivedAt time.Time

	// ID is the job's id, from NewID, for a caller that must know it before the job is accepted; "" for a new one. With
	// an IdempotencyKey the job may be another one.
	ID string
	// IdempotencyKey is the client's key, "" for none; Fingerprint identifies the request that used it.
	IdempotencyKey, Fingerprint string
}

// DecodeRequest decodes a request body strictly: it refuses everything unknown by name, so that a misspelt field is
// never ignored. Its errors have CodeInvalidRequest, CodeScriptTooLarge or CodeInputTooLarge, and their messages never
// contain the script.
func DecodeRequest(body []byte) (Request, error) {
	var request Request
	seen, err := decodeObject(body, `a JSON object with "script"`, request.set)
	if err != nil {
		return Request{}, err
	}
	if !seen["script"] {
		return Request{}, Errorf(CodeInvalidRequest, `"script" is required`)
	}
	return request, request.checkEntry()
}

// decodeObject calls set for each field of a body, which must be one JSON object, and returns the names of the fields.
// It refuses a field that is there twice. what describes the object, for messages.
func decodeObject(
	body []byte, what string, set func(name string, value jsontext.Value) error,
) (seen map[string]bool, err error) {
	body = withoutMark(body)
	if fault := faultOfJSON(body); fault != "" {
		return nil, Errorf(CodeInvalidRequest, `the body %s; it must be %s`, fault, what)
	}
	// The grammar is valid from here on; the rest is what JSON's grammar leaves open. Lone surrogates are accepted
	// here and refused later with the name of their field.
	dec := jsontext.NewDecoder(bytes.NewReader(body), lenient)
	if dec.PeekKind() != jsontext.KindBeginObject {
		return nil, Errorf(CodeInvalidRequest, "the body must be a JSON object, not %s", kindName(dec.PeekKind()))
	}
	seen = map[string]bool{}
	err = eachField(dec, func(name string, value jsontext.Value) error {
		if seen[name] {
			return Errorf(CodeInvalidRequest, "field %s is given twice", quoteName(name))
		}
		seen[name] = true
		return set(name, value)
	})
	return seen, err
}

// fieldNames are the fields of a request, and the parts of a form.
var fieldNames = []string{
	"script", "args", "stdin", "env", "files", "limits", "async", "priority",
	"callback_url", "start_within",
	"entry", "environment",
}

// set sets one field from the body.
func (r *Request) set(name string, value jsontext.Value) (err error) {
	switch name {
	case "script":
		r.Script, err = decodeScript(value)
	case "entry":
		r.Entry, err = decodeEntry(value)
	case "async":
		if k := value.Kind(); k != jsontext.KindTrue && k != jsontext.KindFalse {
			return Errorf(CodeInvalidRequest, `"async" must be true or false, not %s`, kindName(k))
		}
		r.Async = value.Kind() == jsontext.KindTrue
	case "environment":
		r.Environment, err = decodeEnvironment(value)
	case "priority":
		r.Priority, err = decodePriority(value)
	case "callback_url":
		r.WebhookURL, err = decodeWebhookURL(value)
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

func decodePriority(value jsontext.Value) (Priority, error) {
	if value.Kind() == jsontext.KindString {
		name, err := jsontext.AppendUnquote(nil, value)
		if p := Priority(name); err == nil && slices.Contains(Priorities(), p) {
			return p, nil
		}
	}
	return "", Errorf(CodeInvalidRequest, `"priority" must be "high", "default" or "low"`)
}

// leastStartWithin is the shortest start deadline that a request may ask for.
const leastStartWithin = time.Millisecond

func decodeStartWithin(value jsontext.Value) (time.Duration, error) {
	if value.Kind() != jsontext.KindNumber {
		return 0, Errorf(CodeInvalidRequest, `"start_within" must be a number of seconds, not %s`,
			kindName(value.Kind()))
	}
	requested := decodeNumber(value)
	if requested < leastStartWithin.Seconds() {
		return 0, Errorf(CodeInvalidRequest, `"start_within" must be a number of seconds of at least %s`,
			plainNumber(leastStartWithin.Seconds()))
	}
	return inDuration(requested), nil
}

// CheckStartWithin returns an error that names a start deadline above the server's.
func (r *Request) CheckStartWithin(server time.Duration) error {
	if r.StartWithin <= server {
		return nil
	}
	return Errorf(CodeInvalidRequest, `"start_within" is %s, at most %s is allowed here`,
		plainNumber(r.StartWithin.Seconds()), plainNumber(server.Seconds()))
}

func decodeScript(value jsontext.Value) (string, error) {
	script, err := decodeText("script", value)
	if err != nil {
		return "", err
	}
	return script, checkScript(script)
}

// checkScript returns an error for a script that is too long or that Python cannot read.
func checkScript(script string) error {
	if len(script) > MaxScriptBytes {
		return scriptTooLarge(
			fmt.Sprintf(`"script" has %d bytes of UTF-8, at most %d are allowed`, len(script), MaxScriptBytes))
	}
	return checkNoNUL("script", script)
}

func checkNoNUL(name, text string) error {
	if at := strings.IndexByte(text, 0); at >= 0 {
		return Errorf(CodeInvalidRequest, "%s contains a NUL character at byte %d", quoteName(name), at)
	}
	return nil
}

// decodeText decodes a string of valid Unicode.
func decodeText(name string, value jsontext.Value) (string, error) {
	if value.Kind() != jsontext.KindString {
		return "", Errorf(CodeInvalidRequest, `%s must be a string, not %s`, quoteName(name), kindName(value.Kind()))
	}
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return "", Errorf(CodeInvalidRequest, `%s contains a lone surrogate (\ud800 to \udfff without its other half)`,
			quoteName(name))
	}
	return string(text), nil
}

// lenient leaves duplicate names and lone surrogates to DecodeRequest, whose messages are more precise than the
// parser's.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// withoutMark removes a byte order mark, which RFC 8259 (8.1) lets a parser ignore.
func withoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\ufeff")) }

// faultOfJSON describes why a text is not exactly one JSON value in UTF-8, as the rest of a sentence after its name;
// "" if it is one.
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

// faultOfSyntax describes a parser's error, which contains at most a few characters of the text.
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

func notJSON(err error, size int) error {
	return Errorf(CodeInvalidRequest, "the body %s", faultOfSyntax(err, size))
}

// eachField calls f for every field of the object at dec's position, in order, until f returns an error.
func eachField(dec *jsontext.Decoder, f func(name string, value jsontext.Value) error) error {
	if _, err := dec.ReadToken(); err != nil {
		return notJSON(err, int(dec.InputOffset()))
	}
	for dec.PeekKind() != jsontext.KindEndObject {
		token, err := dec.ReadToken()
		if err != nil {
			return notJSON(err, int(dec.InputOffset()))
		}
		name := token.String() // a copy: the token is invalid after the next read
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
