// Package pep723 reads the inline metadata of a script (PEP 723), and finds out whether an environment has what it asks
// for: its Python version, and its dependencies as PEP 508 writes them, with versions as PEP 440 compares them.
package pep723

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"deps.dev/util/semver"
	"github.com/pelletier/go-toml/v2"
)

// Metadata is the content of a script's block.
type Metadata struct {
	// python is nil if the script asks for no version.
	python       *semver.Constraint
	pythonText   string
	requirements []requirement
}

const (
	// maxBlock bounds the text of a block in bytes, and maxRequirements the dependencies in it.
	maxBlock        = 8 << 10
	maxRequirements = 200
)

// block is the expression of the PEP.
var block = regexp.MustCompile(
	`(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$`) //nolint:gocritic // ^ is a line's start

// Has reports whether a script may have metadata.
func Has(script string) bool { return strings.Contains(script, "# /// script") }

// Parse returns the metadata of a script; nil if it has none. The error is a part of a sentence, and contains at most a
// few characters of the script.
func Parse(script string) (*Metadata, error) {
	if !Has(script) {
		return nil, nil //nolint:nilnil // as documented: most scripts have none
	}
	script = strings.ReplaceAll(script, "\r\n", "\n")
	var content []string
	for _, found := range block.FindAllStringSubmatch(script, -1) {
		if found[block.SubexpIndex("type")] == "script" {
			content = append(content, found[block.SubexpIndex("content")])
		}
	}
	switch len(content) {
	case 0:
		return nil, nil //nolint:nilnil // the PEP: what is not closed is no block
	case 1:
		if len(content[0]) > maxBlock {
			return nil, fmt.Errorf("it has %d bytes, at most %d are allowed", len(content[0]), maxBlock)
		}
		return decode(uncomment(content[0]))
	default:
		return nil, fmt.Errorf("there are %d of them, and there may be one", len(content))
	}
}

// uncomment removes the comment signs of the lines.
func uncomment(content string) string {
	var text strings.Builder
	for line := range strings.Lines(content) {
		line = strings.TrimPrefix(line, "#")
		text.WriteString(strings.TrimPrefix(line, " "))
	}
	return text.String()
}

func decode(text string) (*Metadata, error) {
	var fields struct {
		RequiresPython string   `toml:"requires-python"`
		Dependencies   []string `toml:"dependencies"`
	}
	if err := toml.Unmarshal([]byte(text), &fields); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			row, _ := at.Position()
			return nil, fmt.Errorf("it is no TOML that fits PEP 723, at its line %d: %s", row, at.Error())
		}
		return nil, errors.New("it is no TOML that fits PEP 723")
	}
	if len(fields.Dependencies) > maxRequirements {
		return nil, fmt.Errorf("it has %d dependencies, at most %d are allowed", len(fields.Dependencies),
			maxRequirements)
	}
	m := &Metadata{pythonText: strings.TrimSpace(fields.RequiresPython)}
	if m.pythonText != "" {
		var err error
		if m.python, err = parseVersions(m.pythonText); err != nil {
			return nil, fmt.Errorf("requires-python %.64q %w", m.pythonText, err)
		}
	}
	for _, dependency := range fields.Dependencies {
		r, err := parseRequirement(dependency)
		if err != nil {
			return nil, err
		}
		m.requirements = append(m.requirements, r)
	}
	return m, nil
}

// Installed is what an environment has.
type Installed struct {
	// Python is the version of the interpreter; "" if nothing is known of the environment, which then lacks nothing.
	Python string
	// Packages are versions by normalized names.
	Packages map[string]string
}

// Missing returns what an environment lacks, as short texts such as "scipy>=2 (it has 1.17.0)" and "torch".
func (m *Metadata) Missing(there Installed) []string {
	if there.Python == "" {
		return nil
	}
	var missing []string
	if m.python != nil && !matches(m.python, there.Python) {
		missing = append(missing, fmt.Sprintf("Python %s (it has %s)", cut(m.pythonText), there.Python))
	}
	for _, r := range m.requirements {
		if lack := r.missing(there); lack != "" {
			missing = append(missing, lack)
		}
	}
	return missing
}

// matches reports whether a constraint allows a version that is installed, which may be a pre-release.
func matches(constraint *semver.Constraint, version string) bool {
	v, err := semver.PyPI.Parse(version)
	return err == nil && constraint.MatchVersionPrerelease(v)
}
