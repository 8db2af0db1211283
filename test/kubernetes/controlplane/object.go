package controlplane

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v4"
)

// Object is an object of the API, as in its JSON.
type Object map[string]any

// ParseObject reads an object from YAML.
func ParseObject(manifest string) (Object, error) {
	var object Object
	if err := yaml.Unmarshal([]byte(manifest), &object); err != nil {
		return nil, fmt.Errorf("%w in:\n%s", err, manifest)
	}
	// The types of numbers and of maps differ between the two.
	content, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	object = nil
	return object, json.Unmarshal(content, &object)
}

// Manifests returns the documents in a text of YAML that are not empty.
func Manifests(text string) []string {
	var all []string
	for part := range strings.SplitSeq("\n"+text, "\n---") {
		if object, err := ParseObject(part); err != nil || len(object) > 0 {
			all = append(all, part)
		}
	}
	return all
}

// At returns the value at a path of fields, nil if there is none.
func (o Object) At(path ...string) any {
	value := any(map[string]any(o))
	for _, field := range path {
		fields, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = fields[field]
	}
	return value
}

// Text returns the text at a path of fields, "" if there is none.
func (o Object) Text(path ...string) string {
	text, _ := o.At(path...).(string)
	return text
}

// Number returns the number at a path of fields, 0 if there is none.
func (o Object) Number(path ...string) int {
	number, _ := o.At(path...).(float64)
	return int(number)
}

// Object returns the object at a path of fields, nil if there is none.
func (o Object) Object(path ...string) Object {
	fields, _ := o.At(path...).(map[string]any)
	return fields
}

// Objects returns the objects in the list at a path of fields.
func (o Object) Objects(path ...string) []Object {
	list, _ := o.At(path...).([]any)
	all := make([]Object, 0, len(list))
	for _, element := range list {
		if fields, ok := element.(map[string]any); ok {
			all = append(all, fields)
		}
	}
	return all
}

// Name returns the object's name.
func (o Object) Name() string { return o.Text("metadata", "name") }

// Labels returns the object's labels.
func (o Object) Labels() map[string]string { return o.Texts("metadata", "labels") }

// Texts returns the texts in the object at a path of fields.
func (o Object) Texts(path ...string) map[string]string {
	texts := map[string]string{}
	for name, value := range o.Object(path...) {
		if text, ok := value.(string); ok {
			texts[name] = text
		}
	}
	return texts
}

// Condition returns the status of a condition: "True", "False", "Unknown", or "" if it has none.
func (o Object) Condition(kind string) string {
	for _, condition := range o.Objects("status", "conditions") {
		if condition.Text("type") == kind {
			return condition.Text("status")
		}
	}
	return ""
}
