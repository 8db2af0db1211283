package pep723

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"deps.dev/util/semver"
)

// requirement is one dependency. Extras are not kept: an environment does not list them, so a package counts as
// there without.
type requirement struct {
	// text is the dependency for a message, cut to a readable length; name is normalized.
	text, name string
	// versions is nil if any will do.
	versions *semver.Constraint
	// fromURL means that the dependency is at an address, which no environment can be known to have.
	fromURL bool
	// marker is the condition under which the dependency counts, nil for always.
	marker marker
}

// requirementPattern splits a dependency as PEP 508 writes it: name, extras, versions or an address, marker.
var requirementPattern = regexp.MustCompile(
	`^\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(\[[A-Za-z0-9._,\s-]*\])?\s*(@\s*\S+|[^@;]*?)\s*(?:;(.*))?$`)

// clause is one comparison of versions; ~= and === included.
var clause = regexp.MustCompile(`^\s*(?:===|~=|==|!=|<=|>=|<|>)\s*[A-Za-z0-9._*+!-]+\s*$`)

func parseRequirement(text string) (requirement, error) {
	parts := requirementPattern.FindStringSubmatch(text)
	if parts == nil {
		return requirement{}, fmt.Errorf("the dependency %.64q is not written as PEP 508 has it", text)
	}
	r := requirement{text: cut(strings.TrimSpace(text)), name: normalize(parts[1])}
	r.fromURL = strings.HasPrefix(parts[3], "@")
	if versions := strings.TrimSpace(parts[3]); versions != "" && !r.fromURL {
		if strings.HasPrefix(versions, "(") && strings.HasSuffix(versions, ")") {
			versions = versions[1 : len(versions)-1]
		}
		var err error
		if r.versions, err = parseVersions(versions); err != nil {
			return requirement{}, fmt.Errorf("the dependency %.64q %w", text, err)
		}
	}
	if condition := strings.TrimSpace(parts[4]); condition != "" {
		var err error
		if r.marker, err = parseMarker(condition); err != nil {
			return requirement{}, fmt.Errorf("the dependency %.64q has a marker that cannot be read", text)
		}
	}
	return r, nil
}

// The bounds of a version specifier: the library's time grows with the square of the clauses.
const (
	maxSpecifier = 256
	maxClauses   = 32
)

var (
	errSpecifier = errors.New("has no version specifier as PEP 440 has it")
	errTooLong   = fmt.Errorf("has a version specifier of more than %d bytes or %d clauses", maxSpecifier, maxClauses)
)

// parseVersions parses clauses with commas between them. The library takes more than PEP 440 has, such as ranges of
// other systems. The error is what a sentence has after its subject.
func parseVersions(text string) (*semver.Constraint, error) {
	if len(text) > maxSpecifier || strings.Count(text, ",") >= maxClauses {
		return nil, errTooLong
	}
	for part := range strings.SplitSeq(text, ",") {
		if !clause.MatchString(part) {
			return nil, errSpecifier
		}
	}
	// === compares texts, for versions that PEP 440 does not have; the others compare alike.
	versions, err := semver.PyPI.ParseConstraint(strings.ReplaceAll(text, "===", "=="))
	if err != nil {
		return nil, errSpecifier
	}
	return versions, nil
}

// missing returns what an environment lacks of the requirement, "" if nothing.
func (r requirement) missing(there Installed) string {
	if r.marker != nil && r.marker(there.Python) == no {
		return ""
	}
	version, found := there.Packages[r.name]
	switch {
	case !found:
		return r.text
	case r.fromURL:
		return fmt.Sprintf("%s (it has %s)", r.text, version)
	case r.versions != nil && !matches(r.versions, version):
		return fmt.Sprintf("%s (it has %s)", r.text, version)
	default:
		return ""
	}
}

var separators = regexp.MustCompile(`[-_.]+`)

// normalize returns a name as PyPI compares it.
func normalize(name string) string { return strings.ToLower(separators.ReplaceAllString(name, "-")) }

// maxText bounds a part of the script in a message, in bytes.
const maxText = 64

func cut(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxText {
		return strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}
