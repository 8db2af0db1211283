package tenantkeys

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"

	"cellblock/internal/jobs"
)

// maxFileBytes bounds API_KEYS_FILE.
const maxFileBytes = 4 << 20

// errHoldsKey is the error for a file that has a key itself. Each reader of the file could use it.
var errHoldsKey = errors.New("this line has a key itself, and the file takes only hashes: write the output of " +
	"'cellblock key hash' instead, which reads a key from standard input")

// fileFields are the fields of an entry of the file.
var fileFields = []string{"sha256", "tenant", "scopes", "name", "expires", "limits"}

// errEmpty is the error for a file without any content.
var errEmpty = errors.New("it is empty; it must have a list 'keys', such as 'keys: []'")

// parseFile parses the content of API_KEYS_FILE:
//
//	keys:
//	  - sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//	    tenant: acme
//	    scopes: [run, read]
//	    name: back end                  # optional, and the following too
//	    expires: 2027-06-30T12:00:00Z   # or 2027-06-30
//	    limits: {weight: 2, largest: {wall_seconds: 5}}
//
// It refuses all that it does not know. Its errors name the line, and have nothing from which a key could be read: of
// what is in the file they quote names of fields only, and only once the text has nothing of the form of a key.
func parseFile(content []byte) (map[Sum]jobs.Key, error) {
	for i, line := range strings.Split(string(content), "\n") {
		if secretWithin.MatchString(line) {
			return nil, atLine(i+1, errHoldsKey)
		}
	}
	var document yaml.Node
	if err := yaml.Load(content, &document); err != nil {
		return nil, syntaxError(err)
	}
	if len(document.Content) == 0 {
		return nil, errEmpty
	}
	entries, err := entriesOf(document.Content[0])
	if err != nil {
		return nil, err
	}
	keys := make(map[Sum]jobs.Key, len(entries))
	for _, entry := range entries {
		sum, key, err := parseEntry(entry)
		if err != nil {
			return nil, err
		}
		if _, twice := keys[sum]; twice {
			return nil, atLine(entry.Line, errors.New("the key with this sha256 is in the file twice"))
		}
		keys[sum] = key
	}
	return keys, nil
}

// syntaxError returns the error for text that is not one document of YAML. The parser's own may quote the text.
func syntaxError(err error) error {
	at := new(yaml.LoadError)
	switch {
	case strings.Contains(err.Error(), "no documents"):
		return errEmpty
	case errors.As(err, &at) && at.Mark.Line > 0:
		return atLine(at.Mark.Line, errors.New("this is not valid YAML"))
	default:
		return errors.New("it is not one document of valid YAML")
	}
}

func atLine(line int, err error) error { return fmt.Errorf("line %d: %w", line, err) }

// entriesOf returns the elements of the list 'keys'.
func entriesOf(root *yaml.Node) (entries []*yaml.Node, err error) {
	_, err = eachPair(root, func(name string, value *yaml.Node) error {
		switch {
		case name != "keys":
			return jobs.Unknown("", "field", name, []string{"keys"})
		case value.Kind != yaml.SequenceNode && !isNull(value):
			return errors.New("'keys' must be a list")
		}
		entries = value.Content
		return nil
	})
	return entries, err
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

// eachPair calls f for each field of a mapping, and adds the field's line to its errors. It returns the names that it
// has seen.
func eachPair(
	node *yaml.Node, f func(name string, value *yaml.Node) error,
) (seen map[string]bool, err error) {
	if node.Kind != yaml.MappingNode {
		return nil, atLine(node.Line, errors.New("there must be fields with values here, such as 'tenant: acme'"))
	}
	seen = map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		err := checkPlain(name)
		switch {
		case err != nil:
		case seen[name.Value]:
			err = fmt.Errorf("the field %.64q is there twice", name.Value)
		default:
			seen[name.Value] = true
			err = f(name.Value, value)
		}
		if err != nil {
			return seen, lineOf(name, err)
		}
	}
	return seen, nil
}

// lineOf adds the line of a node to an error that names none, and removes the code of a *jobs.Error.
func lineOf(node *yaml.Node, err error) error {
	if known := new(jobs.Error); errors.As(err, &known) {
		err = errors.New(known.Message)
	}
	if strings.HasPrefix(err.Error(), "line ") {
		return err
	}
	return atLine(node.Line, err)
}

// checkPlain refuses what is not a plain value: anchors and aliases could make a small file large.
func checkPlain(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode || node.Anchor != "" {
		return errors.New("this must be one value; lists, fields, anchors and aliases are not taken here")
	}
	return nil
}

// parseEntry parses one key of the file.
func parseEntry(node *yaml.Node) (sum Sum, key jobs.Key, err error) {
	var spec jobs.KeySpec
	seen, err := eachPair(node, func(name string, value *yaml.Node) (err error) {
		switch name {
		case "sha256":
			sum, err = parseSum(value)
		case "tenant":
			spec.Tenant = jobs.Tenant(value.Value)
			err = checkPlain(value)
		case "name":
			spec.Name = value.Value
			err = checkPlain(value)
		case "scopes":
			spec.Scopes, err = parseScopes(value)
		case "expires":
			key.ExpiresAt, err = parseExpiry(value)
		case "limits":
			spec.Limits, err = parseLimits(value)
		default:
			err = jobs.Unknown("", "field", name, fileFields)
		}
		return err
	})
	for _, name := range fileFields[:3] {
		if err == nil && !seen[name] {
			err = fmt.Errorf("the field %q is missing", name)
		}
	}
	if err == nil {
		err = spec.Validate()
	}
	if err != nil {
		return Sum{}, jobs.Key{}, lineOf(node, err)
	}
	key.ID, key.Tenant, key.Name, key.Scopes, key.Limits = fileID(sum), spec.Tenant, spec.Name, spec.Scopes, spec.Limits
	key.State = jobs.KeyActive
	return sum, key, nil
}

// parseSum never quotes what it parses.
func parseSum(node *yaml.Node) (sum Sum, err error) {
	if strings.HasPrefix(node.Value, Prefix) {
		return Sum{}, errHoldsKey
	}
	decoded, err := hex.DecodeString(node.Value)
	if err != nil || len(decoded) != len(sum) || checkPlain(node) != nil {
		return Sum{}, errors.New("'sha256' must be 64 hexadecimal digits: the output of 'cellblock key hash'")
	}
	return Sum(decoded), nil
}

func parseScopes(node *yaml.Node) ([]jobs.Scope, error) {
	if node.Kind != yaml.SequenceNode {
		return nil, errors.New("'scopes' must be a list, such as [run, read]")
	}
	scopes := make([]jobs.Scope, len(node.Content))
	for i, element := range node.Content {
		if err := checkPlain(element); err != nil {
			return nil, lineOf(element, err)
		}
		scopes[i] = jobs.Scope(element.Value)
	}
	return scopes, nil
}

// parseExpiry parses a time, or a day: the key expires when it begins (UTC).
func parseExpiry(node *yaml.Node) (time.Time, error) {
	if err := checkPlain(node); err != nil {
		return time.Time{}, err
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, node.Value); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, errors.New("'expires' must be a time such as 2027-06-30T12:00:00Z, or a day such as 2027-06-30")
}

func parseLimits(node *yaml.Node) (jobs.TenantLimits, error) {
	value, err := toJSON(node, 0)
	if err != nil {
		return jobs.TenantLimits{}, err
	}
	return jobs.DecodeTenantLimits("limits", value)
}

// maxLimitsDepth is the depth of limits with an object in it.
const maxLimitsDepth = 2

// toJSON converts a node of YAML, so that one decoder checks limits from everywhere.
func toJSON(node *yaml.Node, depth int) (jsontext.Value, error) {
	value := jsontext.Value{}
	switch {
	case node.Anchor != "" || node.Kind == yaml.AliasNode || depth > maxLimitsDepth:
		return nil, lineOf(node, errors.New("anchors, aliases and deeper levels are not taken here"))
	case node.Kind == yaml.MappingNode:
		value = append(value, '{')
		for i := 0; i+1 < len(node.Content); i += 2 {
			member, err := toJSON(node.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			if value, err = jsontext.AppendQuote(value, node.Content[i].Value); err != nil {
				return nil, lineOf(node, errors.New("this is not valid Unicode"))
			}
			value = append(append(append(value, ':'), member...), ',')
		}
		return closed(value, '}'), nil
	case node.Kind == yaml.SequenceNode:
		value = append(value, '[')
		for _, element := range node.Content {
			member, err := toJSON(element, depth+1)
			if err != nil {
				return nil, err
			}
			value = append(append(value, member...), ',')
		}
		return closed(value, ']'), nil
	}
	return scalarJSON(node)
}

// closed ends an object or array, whose members each have a comma behind them.
func closed(value jsontext.Value, end byte) jsontext.Value {
	if last := len(value) - 1; value[last] == ',' {
		value = value[:last]
	}
	return append(value, end)
}

func scalarJSON(node *yaml.Node) (jsontext.Value, error) {
	var scalar any
	if err := node.Load(&scalar); err != nil {
		return nil, lineOf(node, errors.New("this value cannot be read"))
	}
	switch scalar.(type) {
	case nil, bool, string, int, int64, uint64, float64:
	default:
		scalar = node.Value
	}
	value, err := json.Marshal(scalar)
	if err != nil { // .inf, or invalid Unicode
		return nil, lineOf(node, errors.New("this value cannot be read"))
	}
	return value, nil
}
