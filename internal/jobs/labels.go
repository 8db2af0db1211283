package jobs

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// MaxLabels bounds the number of labels of a job.
	MaxLabels = 16
	// maxLabelPrefix and maxLabelName bound the two parts of a label's key, and maxLabelName its value, in bytes.
	maxLabelPrefix, maxLabelName = 253, 63
)

// Keys and values follow Kubernetes
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set).
// The patterns are also those of the fields in api/openapi.yaml.
var (
	labelName = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`)
	// labelPrefix is a DNS subdomain (RFC 1123).
	labelPrefix = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
)

func decodeLabels(value jsontext.Value) (map[string]string, error) {
	var labels map[string]string
	err := eachMember("labels", value, func(key string, value jsontext.Value) error {
		if len(labels) == MaxLabels {
			return Errorf(CodeInvalidRequest, `"labels" has more than %d labels`, MaxLabels)
		}
		if reason := labelKeyProblem(key); reason != "" {
			return Errorf(CodeInvalidRequest, `"labels": the key %s %s`, quoteName(key), reason)
		}
		text, err := decodeText("labels."+key, value)
		if err != nil {
			return err
		}
		if reason := labelValueProblem(text); reason != "" {
			return Errorf(CodeInvalidRequest, `"labels": the value of %s %s`, quoteName(key), reason)
		}
		if labels == nil {
			labels = map[string]string{}
		}
		labels[key] = text
		return nil
	})
	return labels, err
}

// ParseLabel parses the text "key:value" of one label to look for. It returns an error with CodeInvalidRequest that
// names the query parameter label.
func ParseLabel(text string) (key, value string, err error) {
	key, value, found := strings.Cut(text, ":")
	if !found {
		return "", "", Errorf(CodeInvalidRequest,
			`"label" must be a key and a value with a colon between them, such as customer:42, not %s`, quoteName(text))
	}
	if reason := labelKeyProblem(key); reason != "" {
		return "", "", Errorf(CodeInvalidRequest, `"label": the key %s %s`, quoteName(key), reason)
	}
	if reason := labelValueProblem(value); reason != "" {
		return "", "", Errorf(CodeInvalidRequest, `"label": the value of %s %s`, quoteName(key), reason)
	}
	return key, value, nil
}

// ValidateLabelKey returns an error for a text that no label can have as its key.
func ValidateLabelKey(key string) error {
	if reason := labelKeyProblem(key); reason != "" {
		return fmt.Errorf("the key %s %s", quoteName(key), reason)
	}
	return nil
}

// labelKeyProblem describes what is wrong with a label's key; it returns "" for a valid one.
func labelKeyProblem(key string) string {
	prefix, name, prefixed := strings.Cut(key, "/")
	if !prefixed {
		prefix, name = "", key
	}
	switch {
	case prefixed && (len(prefix) > maxLabelPrefix || !labelPrefix.MatchString(prefix)):
		return "must have a DNS subdomain before the slash: at most 253 lower case letters, digits, hyphens and " +
			"dots, such as example.com/customer"
	case len(name) > maxLabelName || !labelName.MatchString(name):
		return "must have a name of 1 to 63 letters, digits, hyphens, underscores and dots, with a letter or digit " +
			"at both ends"
	}
	return ""
}

// labelValueProblem describes what is wrong with a label's value; it returns "" for a valid one.
func labelValueProblem(value string) string {
	if value == "" || len(value) <= maxLabelName && labelName.MatchString(value) {
		return ""
	}
	return "must be empty, or have at most 63 letters, digits, hyphens, underscores and dots, with a letter or digit " +
		"at both ends"
}
