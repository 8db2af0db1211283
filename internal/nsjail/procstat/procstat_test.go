package procstat

import "testing"

func TestFieldsFollowTheLastParenthesis(t *testing.T) {
	t.Parallel()
	fields := Fields([]byte("7 (a) R (b) S 1 12\n"))
	if len(fields) != 3 || string(fields[0]) != "S" || string(fields[2]) != "12" {
		t.Errorf("got %q", fields)
	}
}
