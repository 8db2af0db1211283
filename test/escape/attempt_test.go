package escape

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// attempt is one script with the fields of its header: `# field: text`, which may continue on lines with deeper
// indentation.
type attempt struct {
	// name is the file's name with its folder: "network/addresses".
	name   string
	script string

	// tries describes what is attempted; required.
	tries string
	// incident is the real incident that it is based on, if any.
	incident string
	// protection is what prevents the attempt; required.
	protection string
	// inside is the required response: JSON for a result, or alternatives of "code" and "code signal", separated by
	// "|". Required.
	inside string
	// gvisor replaces inside where the suite runs in gVisor; after "~" it is a regular expression for the whole
	// response. docs/gvisor.md lists what differs.
	gvisor string
	// outside has the names of checks of outside_test.go, separated by commas. try always checks that no process of
	// the attempt is left.
	outside []string
	// request has further fields of the request, as JSON.
	request map[string]jsontext.Value
	// files are the names of the files that must come back, in order, separated by commas; alternatives are separated
	// by "|". Nil means that any files may come back.
	files *string
	// limits is "tight" for limits that are quickly reached; otherwise the contract's limits apply.
	limits string
	// only is the one kind of sandbox in which it makes sense; otherwise it runs in both.
	only string
	// beside is another attempt that runs at the same time and must pass too.
	beside string
	// within is the maximum time until the response.
	within time.Duration
}

// set sets one field of the header.
func (a *attempt) set(field, text string) error {
	switch field {
	case "tries":
		a.tries = text
	case "incident":
		a.incident = text
	case "protection":
		a.protection = text
	case "inside":
		a.inside = text
	case "gvisor":
		a.gvisor = text
	case "outside":
		for name := range strings.SplitSeq(text, ",") {
			a.outside = append(a.outside, strings.TrimSpace(name))
		}
	case "files":
		a.files = &text
	case "request":
		return json.Unmarshal([]byte(text), &a.request)
	case "limits":
		a.limits = text
	case "only":
		a.only = text
	case "beside":
		a.beside = text
	case "within":
		var err error
		a.within, err = time.ParseDuration(text)
		return err
	default:
		return fmt.Errorf("unknown field %q", field)
	}
	return nil
}

// parse reads the header comment of a script.
func parse(name, text string) (*attempt, error) {
	a := &attempt{name: name, script: text, within: 12 * time.Second}
	var field, value string
	flush := func() error {
		if field == "" {
			return nil
		}
		return a.set(field, strings.TrimSpace(value))
	}
	for line := range strings.Lines(text) {
		comment, isComment := strings.CutPrefix(strings.TrimRight(line, "\n"), "# ")
		if !isComment {
			break
		}
		if strings.HasPrefix(comment, " ") {
			value += " " + strings.TrimSpace(comment)
			continue
		}
		if err := flush(); err != nil {
			return nil, err
		}
		field, value, _ = strings.Cut(comment, ":")
	}
	if err := flush(); err != nil {
		return nil, err
	}
	if a.tries == "" || a.protection == "" || a.inside == "" {
		return nil, fmt.Errorf("tries, protection and inside are required")
	}
	for _, check := range a.outside {
		if outsideChecks[check] == nil {
			return nil, fmt.Errorf("there is no check %q; there are %v", check, slices.Sorted(maps.Keys(outsideChecks)))
		}
	}
	return a, nil
}

// loadAttempts reads all attempts, by name.
func loadAttempts(t *testing.T) map[string]*attempt {
	t.Helper()
	files, err := filepath.Glob("attempts/*/*.py")
	if err != nil || len(files) == 0 {
		t.Fatal("no attempts are there: ", err)
	}
	all := map[string]*attempt{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(file, "attempts/"), ".py")
		if all[name], err = parse(name, string(text)); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return all
}
