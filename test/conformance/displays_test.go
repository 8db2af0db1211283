package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"cellblock/client"
)

// display is an expected display: a matcher for each media type, in the order of the response. That of a form in a file
// is for the file's name, and that of JSON for its text.
type display struct {
	types    []string
	matchers []matcher
}

// UnmarshalYAML reads a mapping of media types in its order.
func (d *display) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: a display is a mapping from media types to what they match", node.Line)
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		var m matcher
		if err := m.UnmarshalYAML(node.Content[i+1]); err != nil {
			return err
		}
		d.types, d.matchers = append(d.types, node.Content[i].Value), append(d.matchers, m)
	}
	return nil
}

// displayOmission is an expected item of displays_omitted. Bytes of 0 accepts any number.
type displayOmission struct {
	Display int    `yaml:"display"`
	Type    string `yaml:"type"`
	Bytes   int64  `yaml:"bytes"`
	Limit   string `yaml:"limit"`
}

// checkDisplays compares what a script showed with its case.
func checkDisplays(t *testing.T, c testCase, a answer) {
	t.Helper()
	checkEqual(t, "entry", a.Entry, strings.TrimPrefix(fmt.Sprint(entryOf(c)), "main"))
	checkEqual(t, "number of displays", len(a.Displays), len(c.Displays))
	for i := range min(len(a.Displays), len(c.Displays)) {
		want, forms := c.Displays[i], a.Displays[i].Forms
		var types []string
		for _, form := range forms {
			types = append(types, form.Type)
		}
		if !slices.Equal(types, want.types) {
			t.Errorf("display %d has the types %q, want %q", i+1, types, want.types)
			continue
		}
		for n, form := range forms {
			want.matchers[n].check(t, fmt.Sprintf("%s of display %d", form.Type, i+1), contentOf(t, a, form))
		}
	}
	var left []displayOmission
	for i, omitted := range a.DisplaysOmitted {
		one := displayOmission{Display: omitted.Display, Type: omitted.Type, Limit: omitted.Limit}
		if i < len(c.DisplaysOmitted) && c.DisplaysOmitted[i].Bytes != 0 && omitted.Bytes != nil {
			one.Bytes = *omitted.Bytes
		}
		left = append(left, one)
	}
	checkEqual(t, "displays_omitted", fmt.Sprint(left), fmt.Sprint(c.DisplaysOmitted))
}

// entryOf returns the entry of a case's request, "" if it has none.
func entryOf(c testCase) any {
	if entry, there := c.Request["entry"]; there {
		return entry
	}
	return ""
}

// contentOf returns a form's text, JSON, or the name of its file, which must be one of the job's.
func contentOf(t *testing.T, a answer, form client.DisplayForm) string {
	t.Helper()
	switch {
	case form.Text != nil:
		return *form.Text
	case form.File == "":
		return string(form.JSON)
	case !slices.ContainsFunc(a.Files, func(f file) bool { return f.Name == form.File }):
		t.Errorf("the file %s of a display is not in files", form.File)
	}
	return form.File
}
