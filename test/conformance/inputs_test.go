package conformance

import (
	"fmt"
	"strings"
	"testing"
)

// TestBadInputs sends fields that are refused by name, and no job is made.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, fields, code, error string
	}{
		{"args array", `"args":[1]`, "invalid_request", `"args" must be an object`},
		{"args, a name twice", `"args":{"a":1,"a":2}`, "invalid_request", `"args" has a name twice`},
		{"args, too deep", `"args":{"a":` + strings.Repeat("[", 101) + strings.Repeat("]", 101) + `}`, "invalid_request", `"args" is nested deeper than 100`},
		{"args, a long number", `"args":{"a":` + strings.Repeat("9", 5000) + `}`, "invalid_request", `"args" has a number of more than 4300 digits`},
		{"args, too large", `"args":{"a":"` + strings.Repeat("x", 1<<20) + `"}`, "input_too_large", `"args" has 1048584 bytes, at most 1048576`},
		{"stdin null", `"stdin":null`, "invalid_request", `"stdin" must be a string`},
		{"stdin, too large", `"stdin":"` + strings.Repeat("x", 1<<20+1) + `"`, "input_too_large", `"stdin" has 1048577 bytes`},
		{"env array", `"env":[]`, "invalid_request", `"env" must be an object`},
		{"env, one of ours", `"env":{"HOME":"/"}`, "invalid_request", `"HOME" is the sandbox's own`},
		{"env, an odd name", `"env":{"LD PRELOAD":"/"}`, "invalid_request", `is no name for a variable`},
		{"env, NUL", `"env":{"A":"\u0000"}`, "invalid_request", `"env.A" contains a NUL`},
		{"env, too large", `"env":{"A":"` + strings.Repeat("x", 1<<16) + `"}`, "input_too_large", `"env" has 65537 bytes`},
		{"limits, unknown", `"limits":{"wall":1}`, "invalid_request", `unknown field "wall"`},
		{"limits, a string", `"limits":{"wall_seconds":"1s"}`, "invalid_request", `"limits.wall_seconds" must be a number`},
		{"wall over", `"limits":{"wall_seconds":15.5}`, "invalid_request", `"limits.wall_seconds" is 15.5, at most 15 `},
		{"wall under", `"limits":{"wall_seconds":0.01}`, "invalid_request", `"limits.wall_seconds" must be a number of at least 0.1`},
		{"CPU over", `"limits":{"cpu_seconds":11}`, "invalid_request", `"limits.cpu_seconds" is 11, at most 10 `},
		{"memory over", `"limits":{"memory_mb":4096}`, "invalid_request", `"limits.memory_mb" is 4096, at most 700 `},
		{"memory under", `"limits":{"memory_mb":1}`, "invalid_request", `"limits.memory_mb" must be a number of at least 32`},
		{"processes over", `"limits":{"processes":65}`, "invalid_request", `"limits.processes" is 65, at most 64 `},
		{"half a process", `"limits":{"processes":2.5}`, "invalid_request", `"limits.processes" must be a whole number`},
		{"output over", `"limits":{"output_bytes":1e7}`, "invalid_request", `"limits.output_bytes" is 10000000, at most 1048576 `},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := fmt.Sprintf(`{"script":"def main(**_): return 1",%s}`, c.fields)
			a := call(t, standard().URL, request{Path: "/execute", Body: []byte(body)})
			checkRefusal(t, a, c.code, matcher{Given: true, conditions: conditions{Has: []string{c.error}}})
		})
	}
}
