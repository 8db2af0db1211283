package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/client"
)

// requestFlags are the flags of run and submit that describe the job.
type requestFlags struct {
	Script string `arg:"" complete:"file" help:"File with the script; - reads standard input."`
	entryFlags
	Arg         []string `short:"a" sep:"none" placeholder:"NAME=VALUE" help:"Keyword argument of main(). The value is JSON if it is valid JSON, else a string: n=3 is a number, n='\"3\"' and n=three are strings."`
	ArgsJSON    string   `name:"args-json" placeholder:"JSON|FILE" complete:"file" help:"All arguments, as a JSON object or a file with one (- is standard input); --arg overrides them."`
	Stdin       string   `placeholder:"FILE" complete:"file" help:"Standard input of the script; - passes this command's standard input on."`
	File        []string `short:"f" sep:"none" placeholder:"PATH[=DEST]" complete:"file" help:"Copy a file to the script's working directory, as its own name or DEST (data/in.csv). job:ID/NAME is a file that a job left, file:ID=DEST one that was uploaded."`
	Env         []string `short:"e" sep:"none" placeholder:"NAME=VALUE" help:"Environment variable of the script."`
	Limit       []string `short:"l" sep:"none" placeholder:"NAME=VALUE" help:"Limit below the service's: wall=5s, cpu=500ms, memory=64 (MiB), processes=4, output=65536 (bytes)."`
	Priority    *string  `enum:"high,default,low" placeholder:"PRIORITY" help:"Priority in the queue: high, default or low."`
	Environment string   `placeholder:"NAME" help:"Environment that runs the script, one of 'cellblock environments'. Without this flag: one that has the dependencies of the script's inline metadata (# /// script), else the default."`
	Callback    string   `placeholder:"URL" help:"URL to which the service posts the ended job."`
	Within      string   `name:"start-within" placeholder:"TIME" help:"Drop the job (not_started) if it does not start within this time, such as 5s or 500ms; at most the service's start deadline."`
	Key         string   `placeholder:"KEY" help:"Idempotency key: the same key and request return the same job."`
}

// Validate is called by kong.
func (f *requestFlags) Validate() error {
	readers := 0
	for _, source := range []string{f.Script, f.ArgsJSON, f.Stdin} {
		if source == "-" {
			readers++
		}
	}
	if readers > 1 {
		return errors.New("standard input can be read once: only one of the script, --args-json and --stdin can be -")
	}
	return nil
}

// request builds the request and reads the files that the flags name.
func (f *requestFlags) request() (client.Request, error) {
	request := client.Request{CallbackURL: f.Callback, IdempotencyKey: f.Key, Environment: f.Environment}
	if f.Priority != nil {
		request.Priority = *f.Priority
	}
	var err error
	if request.Script, err = readText(f.Script); err != nil {
		return request, err
	}
	if f.Stdin != "" {
		if request.Stdin, err = readText(f.Stdin); err != nil {
			return request, err
		}
	}
	if err := f.setEntry(&request); err != nil {
		return request, err
	}
	if request.Env, err = pairs("--env", f.Env); err != nil {
		return request, err
	}
	if request.Files, err = f.files(); err != nil {
		return request, err
	}
	if f.Within != "" {
		if request.StartWithin, err = duration(f.Within); err != nil {
			return request, usagef("--start-within %s: %w", f.Within, err)
		}
	}
	request.Limits, err = limits("--limit", f.Limit)
	return request, err
}

// setEntry sets the entry and the arguments that suit it.
func (f *requestFlags) setEntry(request *client.Request) (err error) {
	named := f.ArgsJSON != "" || len(f.Arg) > 0
	if request.Entry, err = f.choose(request.Script, f.Script, named); err != nil {
		return err
	}
	if len(f.Argv) > 0 {
		request.Args = f.Argv
		return nil
	}
	request.Args, err = f.args()
	return err
}

// readFile reads a file, or standard input for "-".
func readFile(path string) ([]byte, error) {
	if path == "-" {
		content, err := io.ReadAll(os.Stdin)
		return content, usage(err)
	}
	content, err := os.ReadFile(path)
	return content, usage(err)
}

// readText is readFile for text, which JSON can carry only as UTF-8.
func readText(path string) (string, error) {
	content, err := readFile(path)
	if err != nil {
		return "", err
	}
	if path == "-" {
		path = "standard input"
	}
	if !utf8.Valid(content) {
		return "", usagef("%s is not UTF-8; use --file for data that is not text", path)
	}
	return string(content), nil
}

// args returns the arguments of --args-json, overridden by those of --arg; nil for none.
func (f *requestFlags) args() (any, error) {
	if f.ArgsJSON == "" && len(f.Arg) == 0 {
		return nil, nil
	}
	args := map[string]jsontext.Value{}
	if f.ArgsJSON != "" {
		text := []byte(f.ArgsJSON)
		if !strings.HasPrefix(strings.TrimSpace(f.ArgsJSON), "{") {
			var err error
			if text, err = readFile(f.ArgsJSON); err != nil {
				return nil, err
			}
		}
		if err := json.Unmarshal(text, &args); err != nil {
			return nil, usagef("--args-json is not a JSON object: %w", err)
		}
	}
	given, err := pairs("--arg", f.Arg)
	if err != nil {
		return nil, err
	}
	for name, text := range given {
		value := jsontext.Value(bytes.TrimSpace([]byte(text)))
		if !value.IsValid() {
			if value, err = json.Marshal(text); err != nil {
				return nil, usagef("--arg %s: %w", name, err)
			}
		}
		args[name] = value
	}
	return args, nil
}

// pairs parses the NAME=VALUE pairs of a flag.
func pairs(flag string, given []string) (map[string]string, error) {
	if len(given) == 0 {
		return nil, nil
	}
	all := map[string]string{}
	for _, pair := range given {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usagef("%s takes NAME=VALUE, not %q", flag, pair)
		}
		all[name] = value
	}
	return all, nil
}

// limits parses the limits that a flag has.
func limits(flag string, given []string) (client.Limits, error) {
	var limits client.Limits
	named, err := pairs(flag, given)
	if err != nil {
		return limits, err
	}
	for name, value := range named {
		var err error
		switch name {
		case "wall":
			limits.Wall, err = duration(value)
		case "cpu":
			limits.CPU, err = duration(value)
		case "memory":
			limits.MemoryMB, err = positiveNumber(value)
		case "processes":
			limits.Processes, err = positiveInt(value)
		case "output":
			limits.OutputBytes, err = positiveInt(value)
		default:
			err = fmt.Errorf("the limits are wall, cpu, memory, processes and output")
		}
		if err != nil {
			return limits, usagef("%s %s=%s: %w", flag, name, value, err)
		}
	}
	return limits, nil
}

// duration parses 5s, 500ms, or a number of seconds.
func duration(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		text = strconv.FormatFloat(seconds, 'f', -1, 64) + "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("it must be a time such as 5s or 500ms")
	}
	return d, nil
}

func positiveNumber(text string) (float64, error) {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || !(number > 0) {
		return 0, fmt.Errorf("it must be a number above 0")
	}
	return number, nil
}

func positiveInt(text string) (int, error) {
	number, err := strconv.Atoi(text)
	if err != nil || number <= 0 {
		return 0, fmt.Errorf("it must be a whole number above 0")
	}
	return number, nil
}
