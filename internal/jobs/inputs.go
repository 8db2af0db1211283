package jobs

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds on the inputs of a job besides its script.
const (
	// MaxArgsBytes bounds the JSON of the arguments, and MaxArgsDepth its nesting.
	MaxArgsBytes = 1 * mib
	MaxArgsDepth = 100
	// maxNumberDigits is the longest whole number that Python parses.
	maxNumberDigits = 4300
	// MaxStdinBytes bounds the standard input.
	MaxStdinBytes = 1 * mib
	// MaxEnv bounds the number of variables, and MaxEnvBytes all names and values together.
	MaxEnv      = 64
	MaxEnvBytes = 64 * kib
	maxEnvName  = 128
)

// Inputs are the inputs of a job besides its script.
type Inputs struct {
	// Args are main()'s keyword arguments, a JSON object; with EntryScript an array of strings, which become
	// sys.argv[1:]. Nil means none.
	Args jsontext.Value
	// Stdin is the script's standard input.
	Stdin string
	// Env are environment variables in addition to the sandbox's own.
	Env map[string]string
	// Files are placed in the working directory.
	Files []File
	// Limits are the limits that the client asks for, within the server's.
	Limits RequestedLimits
}

// Size returns the number of bytes of the inputs that can be large.
func (in *Inputs) Size() int {
	if in == nil {
		return 0
	}
	size := len(in.Args) + len(in.Stdin)
	for _, file := range in.Files {
		size += len(file.Content)
	}
	return size
}

// RequestedLimits returns the limits that the request asks for. in may be nil.
func (in *Inputs) RequestedLimits() RequestedLimits {
	if in == nil {
		return RequestedLimits{}
	}
	return in.Limits
}

// set sets one field from the request's body.
func (in *Inputs) set(name string, value jsontext.Value) (err error) {
	switch name {
	case "args":
		in.Args, err = decodeArgs(value)
	case "stdin":
		if in.Stdin, err = decodeText(name, value); err == nil && len(in.Stdin) > MaxStdinBytes {
			err = tooLarge(name, len(in.Stdin), MaxStdinBytes)
		}
	case "env":
		in.Env, err = decodeEnv(value)
	case "files":
		in.Files, err = decodeFiles(name, value)
	case "limits":
		in.Limits, err = decodeLimits(name, value)
	default:
		return Unknown("", "field", name, fieldNames)
	}
	return err
}

func decodeArgs(value jsontext.Value) (jsontext.Value, error) {
	// Which of the two it must be depends on the entry, which may come later in the body; see checkEntry.
	if k := value.Kind(); k != jsontext.KindBeginObject && k != jsontext.KindBeginArray {
		return nil, Errorf(CodeInvalidRequest, `"args" must be an object of main()'s keyword arguments (or an array `+
			`of strings with "entry": "script"), not %s`, kindName(k))
	}
	if len(value) > MaxArgsBytes {
		return nil, tooLarge("args", len(value), MaxArgsBytes)
	}
	// Strict here, since Python would take the last of two names and accept lone surrogates.
	dec := jsontext.NewDecoder(bytes.NewReader(value))
	for {
		token, err := dec.ReadToken()
		switch {
		case err != nil && dec.StackDepth() == 0:
			return slices.Clone(value), nil // io.EOF: the grammar was checked before
		case err != nil:
			return nil, Errorf(CodeInvalidRequest, `"args" has a name twice in one object, or a lone surrogate`)
		case dec.StackDepth() > MaxArgsDepth:
			return nil, Errorf(CodeInvalidRequest, `"args" is nested deeper than %d levels`, MaxArgsDepth)
		case token.Kind() == jsontext.KindNumber && len(token.String()) > maxNumberDigits:
			return nil, Errorf(CodeInvalidRequest, `"args" has a number of more than %d digits`, maxNumberDigits)
		}
	}
}

// eachMember calls f for every field of an object inside the body. It returns an error if the value is not an object
// or has a field twice. name is the name of the object.
func eachMember(name string, object jsontext.Value, f func(name string, value jsontext.Value) error) error {
	if object.Kind() != jsontext.KindBeginObject {
		return Errorf(CodeInvalidRequest, "%s must be an object, not %s", quoteName(name), kindName(object.Kind()))
	}
	seen := map[string]bool{}
	return eachField(
		jsontext.NewDecoder(bytes.NewReader(object), lenient), func(member string, value jsontext.Value) error {
			if seen[member] {
				return Errorf(CodeInvalidRequest, "%s in %s is given twice", quoteName(member), quoteName(name))
			}
			seen[member] = true
			return f(member, value)
		})
}

// requestable has the limits that a request may set, with the minimum of each.
var requestable = map[string]struct {
	least float64
	whole bool
	set   func(l *RequestedLimits, value float64)
	get   func(l Limits) float64
}{
	"wall_seconds": {
		0.1, false,
		func(l *RequestedLimits, value float64) { l.Wall = inDuration(value) },
		func(l Limits) float64 { return l.Wall.Seconds() },
	},
	"cpu_seconds": {
		0.1, false,
		func(l *RequestedLimits, value float64) { l.CPU = inDuration(value) },
		func(l Limits) float64 { return l.CPU.Seconds() },
	},
	"memory_mb": {
		32, false,
		func(l *RequestedLimits, value float64) { l.MemoryBytes = int64(value * mib) },
		func(l Limits) float64 { return float64(l.MemoryBytes) / mib },
	},
	"processes": {
		1, true,
		func(l *RequestedLimits, value float64) { l.Processes = int(value) },
		func(l Limits) float64 { return float64(l.Processes) },
	},
	"output_bytes": {
		1, true,
		func(l *RequestedLimits, value float64) { l.OutputBytes = int64(value) },
		func(l Limits) float64 { return float64(l.OutputBytes) },
	},
}

func inDuration(seconds float64) time.Duration {
	return time.Duration(math.Round(seconds*1e6)) * time.Microsecond
}

// maxRequested caps requested numbers at a value that the fields can hold; CheckLimits and CheckStartWithin check the
// real maximum.
const maxRequested = 1e9

// decodeLimits decodes an object of limits; object is its name.
func decodeLimits(object string, value jsontext.Value) (RequestedLimits, error) {
	var limits RequestedLimits
	err := eachMember(object, value, func(name string, value jsontext.Value) error {
		limit, known := requestable[name]
		if !known {
			return Unknown(object, "field", name, limitNames)
		}
		if value.Kind() != jsontext.KindNumber {
			return Errorf(CodeInvalidRequest, `"%s.%s" must be a number, not %s`, object, name, kindName(value.Kind()))
		}
		requested := decodeNumber(value)
		if requested < limit.least || limit.whole && requested != math.Trunc(requested) {
			kind := "a number"
			if limit.whole {
				kind = "a whole number"
			}
			return Errorf(CodeInvalidRequest, `"%s.%s" must be %s of at least %s`, object, name, kind,
				plainNumber(limit.least))
		}
		limit.set(&limits, requested)
		return nil
	})
	return limits, err
}

// decodeNumber decodes a number, capped at maxRequested.
func decodeNumber(value jsontext.Value) float64 {
	var number float64
	if err := json.Unmarshal(value, &number); err != nil || number > maxRequested {
		return maxRequested // too large for a float: too large
	}
	return number
}

// CheckLimits returns an error that names a limit above the server's.
func (in *Inputs) CheckLimits(server Limits) error {
	if in == nil || in.Limits == (RequestedLimits{}) {
		return nil
	}
	requested := unlimited.CappedBy(in.Limits)
	for _, name := range limitNames {
		get := requestable[name].get
		if get(requested) != get(unlimited) && get(requested) > get(server) {
			return Errorf(CodeInvalidRequest, `"limits.%s" is %s, at most %s is allowed here`, name,
				plainNumber(get(requested)), plainNumber(get(server)))
		}
	}
	return nil
}

func plainNumber(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
