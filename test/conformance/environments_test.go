package conformance

import (
	"net/http"
	"strings"
	"testing"

	"cellblock/test/stack"
)

// The workers of the suite have two small environments besides the default.
func TestEnvironments(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k *kind) {
		t.Helper()
		base := k.standard.URL
		list := call(t, base, request{Method: http.MethodGet, Path: "/environments"})
		if list.HTTPStatus != http.StatusOK || !strings.Contains(list.Body, `"name":"`+stack.Neighbour+`"`) {
			t.Fatalf("%d %s", list.HTTPStatus, list.Body)
		}
		const script = "import neighbour_module\ndef main():\n    return neighbour_module.name\n"
		for what, c := range map[string]struct {
			script, environment string
			status              int
			part                string
		}{
			"by name": {script, stack.Neighbour, 200, `"environment":"neighbour","result":"neighbour"`},
			"by the block": {
				"# /// script\n# dependencies = ['Neighbour_Module>=1']\n# ///\n" + script, "", 200,
				`"environment":"neighbour","result":"neighbour"`,
			},
			"in another one": {
				script, "default", 422, `"hint":"available in the environment neighbour; the sandbox has `,
			},
			"unknown": {script, "neighbor", 400, `did you mean \"neighbour\"? There are: default, handmade, neighbour`},
			"nowhere": {
				"# /// script\n# dependencies = ['neighbour-module>1']\n# ///\n" + script, "", 422,
				`neighbour lacks neighbour-module>1 (it has 1.0)`,
			},
			"malformed": {"# /// script\n# dependencies\n# ///\n", "", 400, `"code":"invalid_request"`},
		} {
			if c.environment == "" && environment.Name != "" {
				continue // the suite names one
			}
			fields := map[string]any{}
			if c.environment != "" {
				fields["environment"] = c.environment
			}
			got := executeWith(t, base, c.script, fields)
			if got.HTTPStatus != c.status || !strings.Contains(got.Body, c.part) {
				t.Errorf("%s: %d %s, want %d with %s", what, got.HTTPStatus, got.Body, c.status, c.part)
			}
		}
	})
}
