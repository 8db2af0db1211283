package pep723

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// verdict is the value of a marker. What cannot be decided here, such as platform_machine, is unknown: the dependency
// then counts.
type verdict int

const (
	no verdict = iota
	unknown
	yes
)

// marker evaluates a condition (PEP 508) in a sandbox with this Python version.
type marker func(python string) verdict

// token is one of the words of a marker.
var token = regexp.MustCompile(`^\s*(\(|\)|===|~=|==|!=|<=|>=|<|>|'[^']*'|"[^"]*"|[A-Za-z_.]+)`)

// markerParser parses: or-list = and-list {"or" and-list}; and-list = atom {"and" atom}.
type markerParser struct {
	tokens []string
	depth  int
}

// maxDepth bounds the nesting of parentheses.
const maxDepth = 20

var errMarker = errors.New("malformed marker")

func parseMarker(text string) (marker, error) {
	var p markerParser
	for strings.TrimSpace(text) != "" {
		found := token.FindStringSubmatch(text)
		if found == nil {
			return nil, errMarker
		}
		p.tokens, text = append(p.tokens, found[1]), text[len(found[0]):]
	}
	m, err := p.list("or")
	if err == nil && len(p.tokens) > 0 {
		err = errMarker
	}
	return m, err
}

// next removes and returns the next token, "" at the end.
func (p *markerParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	first := p.tokens[0]
	p.tokens = p.tokens[1:]
	return first
}

// list parses parts joined by a word: the least verdict counts for "and", the greatest for "or".
func (p *markerParser) list(word string) (marker, error) {
	var parts []marker
	for {
		part, err := p.part(word)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		if len(p.tokens) == 0 || p.tokens[0] != word {
			break
		}
		p.next()
	}
	return func(python string) verdict {
		verdicts := make([]verdict, len(parts))
		for i, part := range parts {
			verdicts[i] = part(python)
		}
		if word == "and" {
			return slices.Min(verdicts)
		}
		return slices.Max(verdicts)
	}, nil
}

func (p *markerParser) part(word string) (marker, error) {
	if word == "or" {
		return p.list("and")
	}
	if len(p.tokens) > 0 && p.tokens[0] == "(" {
		p.next()
		if p.depth++; p.depth > maxDepth {
			return nil, errMarker
		}
		inner, err := p.list("or")
		if p.depth--; err == nil && p.next() != ")" {
			err = errMarker
		}
		return inner, err
	}
	return p.comparison()
}

// comparison parses a variable, an operator and a text, or these the other way round.
func (p *markerParser) comparison() (marker, error) {
	left, operator := p.next(), p.next()
	if operator == "not" {
		operator += " " + p.next()
	}
	right := p.next()
	if !slices.Contains([]string{"===", "~=", "==", "!=", "<=", ">=", "<", ">", "in", "not in"}, operator) {
		return nil, errMarker
	}
	if !isOperand(left) || !isOperand(right) {
		return nil, errMarker
	}
	return func(python string) verdict {
		a, knownA := value(left, python)
		b, knownB := value(right, python)
		if !knownA || !knownB {
			return unknown
		}
		if strings.HasPrefix(left, "python_") {
			return compareVersions(a, operator, b)
		}
		return compareTexts(a, operator, b)
	}, nil
}

var variable = regexp.MustCompile(`^[a-z_.]+$`)

func isOperand(token string) bool {
	return isQuoted(token) || variable.MatchString(token)
}

func isQuoted(token string) bool {
	return strings.HasPrefix(token, `'`) || strings.HasPrefix(token, `"`)
}

// value returns a text, or a variable of the sandbox; false for one that is not known here.
func value(token, python string) (string, bool) {
	if isQuoted(token) {
		return token[1 : len(token)-1], true
	}
	switch token {
	case "python_full_version", "implementation_version":
		return python, true
	case "python_version":
		parts := strings.SplitN(python, ".", 3) //nolint:mnd // major, minor and the rest
		if len(parts) < 2 {
			return "", false
		}
		return parts[0] + "." + parts[1], true
	case "sys_platform":
		return "linux", true
	case "platform_system":
		return "Linux", true
	case "os_name":
		return "posix", true
	case "implementation_name":
		return "cpython", true
	case "platform_python_implementation":
		return "CPython", true
	default:
		return "", false
	}
}

func compareVersions(version, operator, with string) verdict {
	constraint, err := parseVersions(operator + with)
	if err != nil {
		return unknown
	}
	return verdictOf(matches(constraint, version))
}

func compareTexts(a, operator, b string) verdict {
	switch operator {
	case "==", "===":
		return verdictOf(a == b)
	case "!=":
		return verdictOf(a != b)
	case "in":
		return verdictOf(strings.Contains(b, a))
	case "not in":
		return verdictOf(!strings.Contains(b, a))
	default:
		return unknown
	}
}

func verdictOf(holds bool) verdict {
	if holds {
		return yes
	}
	return no
}
