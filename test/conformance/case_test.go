package conformance

import (
	"cmp"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

// testCase is one script and what it must give. Everything that an answer may
// have and a case does not name must be missing or empty, so that a case is
// short and still exact.
type testCase struct {
	// Name says which behaviour the case holds fast.
	Name string `yaml:"name"`
	// ID and Source are of a case that was seen in public: its short name, which
	// the subtest takes, and where its kind was seen. The input is our own.
	ID     string `yaml:"id"`
	Source string `yaml:"source"`
	Script string `yaml:"script"`
	// Request are further fields of the request: args, stdin, env, limits. A file
	// that is only a name is read from testdata/.
	Request map[string]any `yaml:"request"`
	// Times is how many jobs in a row must end alike; none means one.
	Times int `yaml:"times"`
	// Tight runs it under stack.TightLimits instead of the contract's.
	Tight bool `yaml:"tight"`
	// Cgroups marks what cannot be told or held without them.
	Cgroups bool `yaml:"cgroups"`

	// Code is the error's code; none means success. The HTTP status follows.
	Code  string  `yaml:"code"`
	Error matcher `yaml:"error"`
	// Result is compared with the very text that was sent: 3.0 is not 3.
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

	// Files are what comes back, by name. A case without them may leave any: many
	// write into their working directory on the way.
	Files map[string]matcher `yaml:"files"`
	// Omitted are the files that did not fit, by name: into which limit.
	Omitted map[string]string `yaml:"files_omitted"`
	// Notes are what the answer says beside.
	Notes []string `yaml:"notes"`

	// AtLeast and Within bound the time until the answer; Within is 14s if not
	// given: nothing that ends may be waited out to its limit.
	AtLeast time.Duration `yaml:"at_least"`
	Within  time.Duration `yaml:"within"`
	// Bounds on usage, [least, most].
	RunMS           []float64 `yaml:"run_ms"`
	CPUMS           []float64 `yaml:"cpu_ms"`
	MemoryPeakBytes []float64 `yaml:"memory_peak_bytes"`
}

// matcher is what a text must be: exactly a given one (a plain value in the
// file), or one that meets all of the conditions of a mapping.
type matcher struct {
	// Given is false where the case says nothing.
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
	// Bytes is the length of its UTF-8, with Most an upper bound of that.
	Bytes int `yaml:"bytes"`
	Most  int `yaml:"most"`
}

// UnmarshalYAML takes a plain value as it is written: 3.0 stays "3.0".
func (m *matcher) UnmarshalYAML(node *yaml.Node) error {
	m.Given = true
	if node.Kind == yaml.ScalarNode {
		m.Exact = &node.Value
		return nil
	}
	return node.Load(&m.conditions, yaml.WithKnownFields())
}

// loadCases reads the files that a pattern matches; the topic is the file's name.
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

// complete fills in what a case leaves out, and refuses one that checks nothing.
func (c *testCase) complete(t *testing.T, file string) {
	t.Helper()
	if c.Within == 0 {
		c.Within = 14 * time.Second
	}
	c.Times = max(c.Times, 1)
	c.readFiles(t)
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

// readFiles puts the content of files that are only named into the request.
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

// title is the name of the case's subtest.
func (c *testCase) title() string { return cmp.Or(c.ID, c.Name) }

// statusOf is the contract's table; the service has its own.
var statusOf = map[string]int{
	"invalid_request": 400, "missing_main": 400, "syntax_error": 400, "args_mismatch": 400,
	"unauthorized": 401,
	"not_found":    404, "method_not_allowed": 405, "unsupported_media_type": 415,
	"cancelled":        409,
	"script_too_large": 413, "input_too_large": 413,
	"not_serializable": 422, "exception": 422, "exit": 422,
	"timeout": 422, "cpu_limit": 422, "memory_limit": 422, "process_limit": 422, "result_too_large": 422, "files_too_large": 422, "killed": 422,
	"worker_lost": 500, "internal": 500,
	"unavailable": 503,
}
