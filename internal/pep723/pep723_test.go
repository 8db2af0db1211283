package pep723_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cellblock/internal/pep723"
)

// script returns a script with a block of these lines.
func script(lines ...string) string {
	var text strings.Builder
	text.WriteString("#!/usr/bin/env python3\n# /// script\n")
	for _, line := range lines {
		text.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	return text.String() + "# ///\nimport this\ndef main(): pass\n"
}

var there = pep723.Installed{
	Python: "3.11.2",
	Packages: map[string]string{
		"numpy": "2.4.1", "scikit-learn": "1.8.0", "pandas": "3.0.0rc1", "zope-interface": "6.0", "tz": "2026.1",
	},
}

func TestMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines []string
		want  []string
	}{
		{lines: []string{`dependencies = []`}},
		{lines: []string{`requires-python = ">=3.11"`, `dependencies = ["numpy", "Scikit_Learn>=1.5,<2"]`}},
		{lines: []string{`requires-python = ">=3.12"`}, want: []string{"Python >=3.12 (it has 3.11.2)"}},
		{lines: []string{`requires-python = "==3.11.*"`, `[tool.uv]`, `x = 1`}},
		{lines: []string{`dependencies = ["numpy<2"]`}, want: []string{"numpy<2 (it has 2.4.1)"}},
		{lines: []string{`dependencies = ["numpy~=2.1", "numpy!=2.4.0", "numpy === 2.4.1", "numpy (>=2)"]`}},
		{lines: []string{`dependencies = ["torch", "polars[all]>=1"]`}, want: []string{"torch", "polars[all]>=1"}},
		{lines: []string{`dependencies = ["Zope.Interface[test]==6", "pandas>=2", "tz==2026.1"]`}},
		{
			lines: []string{`dependencies = ["x @ https://example.org/x.whl", "numpy@git+https://example.org/y"]`},
			want:  []string{"x @ https://example.org/x.whl", "numpy@git+https://example.org/y (it has 2.4.1)"},
		},
		{lines: []string{
			`dependencies = [`, `  "a; sys_platform == 'win32'",`, `  "b; python_version < '3.10'",`,
			`  "c ; os_name == \"posix\" and python_version >= '3.9'",`, `  'd; extra == "x"',`,
			`  "e; (python_version<'3' or platform_system in 'Windows Darwin') and extra == 'x'",`,
			`  "f; 'linux' in sys_platform",`, `  "g; sys_platform not in 'linux darwin'", # a comment`,
			`  "h; python_full_version >= '3.11.2'",`, `  "i; platform_machine == 'arm64'",`, `]`,
		}, want: []string{
			`c ; os_name == "posix" and python_version >= '3.9'`, `d; extra == "x"`, "f; 'linux' in sys_platform",
			"h; python_full_version >= '3.11.2'", "i; platform_machine == 'arm64'",
		}},
	} {
		for _, ending := range []string{"\n", "\r\n"} {
			m, err := pep723.Parse(strings.ReplaceAll(script(c.lines...), "\n", ending))
			if err != nil || m == nil {
				t.Errorf("%q: %v, %v", c.lines, m, err)
				continue
			}
			if got := m.Missing(there); !slices.Equal(got, c.want) {
				t.Errorf("%q: got %q, want %q", c.lines, got, c.want)
			}
			if got := m.Missing(pep723.Installed{}); got != nil {
				t.Errorf("%q: an unknown environment lacks %q", c.lines, got)
			}
		}
	}
}

func TestScriptsWithoutABlock(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "import numpy", "# /// script", "# /// script\n# dependencies = ['x']\n", "x = '# /// script'\n",
		"# /// script\n#dependencies = ['x']\n# ///\n", "# /// pyproject\n# x = 1\n# ///\n",
		"  # /// script\n  # x = 1\n  # ///\n", "# /// script\n# ///\n",
	} {
		if m, err := pep723.Parse(text); m != nil || err != nil {
			t.Errorf("%q: %v, %v", text, m, err)
		}
	}
}

// clauses returns a line with a dependency of n clauses.
func clauses(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, ",!=%d", i)
	}
	return `dependencies = ["x` + text.String()[1:] + `"]`
}

// The most that a block can cost: as many clauses as fit its bounds.
func TestABlockAtItsBounds(t *testing.T) {
	t.Parallel()
	versions := strings.TrimSuffix(strings.TrimPrefix(clauses(32), `dependencies = ["x`), `"]`)
	dependency := `"numpy` + versions + `"`
	lines := []string{`requires-python = "` + versions + `"`, "dependencies = ["}
	for range (8<<10)/(len(dependency)+4) - 2 {
		lines = append(lines, dependency+",")
	}
	m, err := pep723.Parse(script(append(lines, "]")...))
	if err != nil || m == nil {
		t.Fatal(err)
	}
	if missing := m.Missing(there); missing != nil {
		t.Errorf("it lacks %q", missing)
	}
}

func TestMalformedBlocks(t *testing.T) {
	t.Parallel()
	many := script(`dependencies = [` + strings.Repeat(`"a",`, 201) + `]`)
	long := ">=1." + strings.Repeat("0", 256)
	opening, closing := strings.Repeat("(", 100), strings.Repeat(")", 100)
	deep := script(`dependencies = ["a; ` + opening + `os_name == 'x'` + closing + `"]`)
	for text, want := range map[string]string{
		script(`dependencies = `):                          "it is no TOML that fits PEP 723, at its line 1",
		script(`dependencies = "numpy"`):                   "it is no TOML that fits PEP 723",
		script(`dependencies = [1]`):                       "it is no TOML that fits PEP 723",
		script(`requires-python = 3.11`):                   "it is no TOML that fits PEP 723",
		script(`requires-python = "new"`):                  `requires-python "new" has no version specifier`,
		script(`requires-python = ">=3 || <2"`):            "has no version specifier",
		script(`dependencies = ["-r requirements.txt"]`):   `"-r requirements.txt" is not written as PEP 508 has it`,
		script(`dependencies = ["numpy 2"]`):               `"numpy 2" has no version specifier as PEP 440 has it`,
		script(`dependencies = ["numpy>=2 || <1"]`):        "has no version specifier",
		script(`dependencies = ["a; sys_platform = 'x'"]`): "has a marker that cannot be read",
		script(`dependencies = ["a; (os_name == 'x'"]`):    "has a marker that cannot be read",
		script("dependencies = []") + script("x = 1"):      "there are 2 of them, and there may be one",
		script(clauses(33)):                                "of more than 256 bytes or 32 clauses",
		script(`requires-python = "` + long + `"`):         "of more than 256 bytes or 32 clauses",
		script(`dependencies = ["x` + long + `"]`):         "of more than 256 bytes or 32 clauses",
		script(clauses(7500)):                              "bytes, at most 8192 are allowed",
		many:                                               "it has 201 dependencies, at most 200",
		deep:                                               "has a marker that cannot be read",
	} {
		m, err := pep723.Parse(text)
		if err == nil || m != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v, %v, want %q", text, m, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(script(`dependencies = ["a; sys_platform == 'x' and (os_name > 'y')"]`))
	f.Add(script(`requires-python = "~=3.1"`))
	f.Fuzz(func(t *testing.T, text string) {
		m, err := pep723.Parse(text)
		if m != nil && err != nil {
			t.Errorf("%v, %v", m, err)
		}
		if m != nil {
			m.Missing(there)
		}
	})
}
