package conformance

import (
	"cmp"
	"encoding/base64"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

// testCase is one script and its expected response. Each field that a response may have and a case
// omits must be missing or empty, so that a case is short and still exact.
type testCase struct {
	// Name describes the behaviour under test.
	Name string `yaml:"name"`
	// ID and Source are set for cases seen in public: a short name, which is also the subtest's,
	// and where such a case was seen. The input is our own.
	ID     string `yaml:"id"`
	Source string `yaml:"source"`
	Script string `yaml:"script"`
	// Entry is the request's entry; "" leaves it out.
	Entry string `yaml:"entry"`
	// Request has further fields of the request: args, stdin, env, limits. A file given only by
	// name is read from testdata/.
	Request map[string]any `yaml:"request"`
	// Times is how many jobs in a row must end alike; default 1.
	Times int `yaml:"times"`
	// Tight selects stack.TightLimits instead of the contract's limits.
	Tight bool `yaml:"tight"`
	// Cgroups marks cases that cannot be detected or enforced without cgroups.
	Cgroups bool `yaml:"cgroups"`
	// Linux marks cases that end in another way inside gVisor, or take too long there; docs/gvisor.md lists them.
	Linux bool `yaml:"linux"`

	// Code is the error's code; empty means success. It determines the HTTP status.
	Code  string  `yaml:"code"`
	Error matcher `yaml:"error"`
	// Result is compared with the text of the response: 3.0 is not 3.
	Result    matcher `yaml:"result"`
	Stdout    matcher `yaml:"stdout"`
	Stderr    matcher `yaml:"stderr"`
	Detail    matcher `yaml:"detail"`
	Hint      matcher `yaml:"hint"`
	Traceback matcher `yaml:"traceback"`
	Text      matcher `yaml:"text"`
	Line      int     `yaml:"line"`
	Column    int     `yaml:"column"`
	ExitCode  *int    `yaml:"exit_code"`
	Signal    string  `yaml:"signal"`
	Limit     *limit  `yaml:"limit"`
	// Truncated names the streams that are cut.
	Truncated []string `yaml:"truncated"`

	// Files are the returned files, by name. A case without them accepts any: many scripts write
	// into their working directory.
	Files map[string]matcher `yaml:"files"`
	// Omitted maps each omitted file to the limit that it exceeded.
	Omitted map[string]string `yaml:"files_omitted"`
	// Notes are the response's notes.
	Notes []string `yaml:"notes"`
	// Displays are what the script shows, and DisplaysOmitted what exceeded a limit.
	Displays        []display         `yaml:"displays"`
	DisplaysOmitted []displayOmission `yaml:"displays_omitted"`

	// AtLeast and Within bound the time until the response. Within defaults to 14s: no script that
	// ends may run into its limit.
	AtLeast time.Duration `yaml:"at_least"`
	Within  time.Duration `yaml:"within"`
	// Bounds on usage, [least, most].
	RunMS           []float64 `yaml:"run_ms"`
	CPUMS           []float64 `yaml:"cpu_ms"`
	MemoryPeakBytes []float64 `yaml:"memory_peak_bytes"`
}

// matcher describes a text: either its exact value (a plain value in the file), or conditions that
// must all hold (a mapping).
type matcher struct {
	// Given is false if the case omits it.
	Given bool
	Exact *string
	conditions
}

type conditions struct {
	// Like is a regular expression that must match somewhere.
	Like  string   `yaml:"like"`
	Has   []string `yaml:"has"`
	Lacks []string `yaml:"lacks"`
	// Starts and Ends are literal texts.
	Starts string `yaml:"starts"`
	Ends   string `yaml:"ends"`
	// Bytes is the length in UTF-8, Most an upper bound of it.
	Bytes int `yaml:"bytes"`
	Most  int `yaml:"most"`
}

// UnmarshalYAML keeps a plain value as it is written: 3.0 stays "3.0".
func (m *matcher) UnmarshalYAML(node *yaml.Node) error {
	m.Given = true
	if node.Kind == yaml.ScalarNode {
		m.Exact = &node.Value
		return nil
	}
	return node.Load(&m.conditions, yaml.WithKnownFields())
}

// loadCases reads the files that match a pattern; the topic is the file's name.
func loadCases(t *testing.T, pattern string) map[string][]testCase {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal("no cases are there: ", err)
	}
	topics := map[string][]testCase{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []testCase
		if err := yaml.Load(content, &cases, yaml.WithKnownFields()); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		topic := strings.TrimSuffix(filepath.Base(file), ".yaml")
		for i := range cases {
			cases[i].complete(t, file)
		}
		topics[topic] = cases
	}
	return topics
}

// complete sets defaults, and fails for a case that checks nothing.
func (c *testCase) complete(t *testing.T, file string) {
	t.Helper()
	if c.Within == 0 {
		c.Within = 14 * time.Second
	}
	c.Times = max(c.Times, 1)
	c.readFiles(t)
	if c.Entry != "" {
		request := map[string]any{"entry": c.Entry}
		maps.Copy(request, c.Request)
		c.Request = request
	}
	switch {
	case c.Name == "":
		t.Fatalf("%s: a case has no name", file)
	case (c.ID == "") != (c.Source == ""):
		t.Fatalf("%s: %q has one of an id and a source", file, c.Name)
	case c.Code == "" && !c.Result.Given:
		t.Fatalf("%s: %q names neither a result nor a code", file, c.Name)
	case c.Code != "" && !c.Error.Given:
		t.Fatalf("%s: %q has a code and no error", file, c.Name)
	case c.Code != "" && statusOf[c.Code] == 0:
		t.Fatalf("%s: %q has the unknown code %s", file, c.Name, c.Code)
	}
}

// readFiles adds the content of files that are given only by name to the request.
func (c *testCase) readFiles(t *testing.T) {
	t.Helper()
	files, _ := c.Request["files"].([]any)
	for i, file := range files {
		name, ok := file.(string)
		if !ok {
			continue
		}
		content, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files[i] = map[string]string{"path": name, "content_base64": base64.StdEncoding.EncodeToString(content)}
	}
}

// title returns the name of the case's subtest.
func (c *testCase) title() string { return cmp.Or(c.ID, c.Name) }

// statusOf is the contract's table; the service has a separate one.
var statusOf = map[string]int{
	"invalid_request": 400, "missing_main": 400, "syntax_error": 400, "args_mismatch": 400,
	"file_not_found": 400,
	"unauthorized":   401,
	"not_found":      404, "method_not_allowed": 405, "unsupported_media_type": 415,
	"cancelled":        409,
	"script_too_large": 413, "input_too_large": 413,
	"not_serializable": 422, "exception": 422, "exit": 422,
	"timeout": 422, "cpu_limit": 422, "memory_limit": 422, "process_limit": 422, "result_too_large": 422,
	"files_too_large": 422, "killed": 422,
	"worker_lost": 500, "internal": 500,
	"unavailable":  503,
	"storage_full": 507,
}
